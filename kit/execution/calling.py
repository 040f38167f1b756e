"""How a user's functions are called: async ones on the loop, plain ones in a thread each."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Never

_KEPT_IDLE = 32
_idle: list[tuple[threading.Thread, SimpleQueue[_Call]]] = []


async def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """
    Call *function*, whatever its colour, and return what it comes to.

    Raises:
        RuntimeError: If it calls `sys.exit`, which from a task would end the whole process.
    """
    try:
        if is_async(function):
            return await function(*args, **kwargs)
        value = await _in_thread(function, args, kwargs)
        return await value if inspect.isawaitable(value) else value
    except SystemExit as error:
        name = getattr(function, "__name__", repr(function))
        msg = f"{name} called sys.exit({error.code!r}); raise an error instead"
        raise RuntimeError(msg) from error


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether *function* is called on the loop, not in a thread."""
    code = getattr(function, "__code__", None)  # what inspect looks at, without its detours
    if getattr(code, "co_flags", 0) & inspect.CO_COROUTINE:
        return True
    return inspect.iscoroutinefunction(function)


def _in_thread(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> asyncio.Future[Any]:
    """
    Call *function* in a thread, with the caller's context variables.

    Not asyncio's own pool: it has few threads, and handlers that wait in one for steps that wait
    for one would block each other for ever. Ours grow as needed and do not hold up an exit.
    """
    loop = asyncio.get_running_loop()
    future = InThread(loop=loop)
    todo = _Call(loop, future, contextvars.copy_context(), function, args, kwargs)
    _worker().put(todo)
    return future


def _worker() -> SimpleQueue[_Call]:
    """Return the inbox of a thread that is waiting for something to do."""
    while True:
        try:
            thread, inbox = _idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            threading.Thread(target=_work, args=(inbox,), name="kit-plain", daemon=True).start()
            return inbox
        if thread.is_alive():  # those of a parent process are not
            return inbox


class InThread(asyncio.Future[Any]):
    """What a call in a thread will come to. Cancelling it does not end the call."""


class _Call:
    __slots__ = ("args", "context", "function", "future", "kwargs", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        context: contextvars.Context,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.loop, self.future, self.context = loop, future, context
        self.function, self.args, self.kwargs = function, args, kwargs

    def carry_out(self) -> None:
        value, error = None, None
        try:
            value = self.context.run(self.function, *self.args, **self.kwargs)
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever awaits the future
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self.loop.call_soon_threadsafe(_settle, self.future, value, error)


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(_wrapped(error))  # a future refuses StopIteration
    else:
        future.set_exception(error)


def _wrapped(error: StopIteration) -> RuntimeError:
    wrapped = RuntimeError("the function raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def _work(inbox: SimpleQueue[_Call]) -> None:
    while True:
        inbox.get().carry_out()
        if len(_idle) >= _KEPT_IDLE:
            return
        _idle.append((threading.current_thread(), inbox))


def stay() -> Never:
    """Keep the calling thread where it is: its run is over, and its code does not listen."""
    while True:
        SimpleQueue[None]().get()
