"""How a user's functions are called: async ones on the loop, plain ones in a thread each."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Hashable
from typing import Any

from kit.execution.threads import in_thread
from kit.model.failure import text_of
from kit.model.signals import Signal


async def call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    key: Hashable | None = None,
) -> Any:
    """
    Call *function*, whatever its colour, and return what it comes to.

    A plain one begins only when the last call with the same *key* has ended, even if nobody waits
    for that any more.

    Raises:
        RuntimeError: If it raises what is none of Python's ordinary errors, as `sys.exit` does:
            that would end whatever else is under way in the process. Also, if what it awaits was
            cancelled, and it was not.
    """
    before = _cancelling()
    if before:  # it may be about to be raised; or was, and a TaskGroup has left the count as it is
        await asyncio.sleep(0)
    try:
        if is_async(function):
            return await function(*args, **kwargs)
        value = await in_thread(function, args, kwargs, key)
        return await value if inspect.isawaitable(value) else value
    except Exception:
        raise
    except BaseException as error:
        is_plain, is_cancelled = not is_async(function), _cancelling() > before
        if _is_asked_for(error, is_plain=is_plain, is_cancelled=is_cancelled):
            raise
        raise ordinary(error, function) from error


def ordinary(error: BaseException, function: Callable[..., Any]) -> RuntimeError:
    """Return what stands for *error*, which is no `Exception`, as a failure of *function*."""
    name = getattr(function, "__name__", repr(function))
    if isinstance(error, SystemExit):
        return RuntimeError(f"{name} called sys.exit({error.code!r}); raise an error instead")
    if isinstance(error, asyncio.CancelledError):
        msg = f"{name} was not cancelled, but something that it awaited was; catch CancelledError"
        return RuntimeError(f"{msg} there, and raise an error that says what that means")
    msg = (
        f"{name} raised {type(error).__qualname__}: {text_of(error)}, which is meant to end a"
        " program; raise an Exception instead"
    )
    return RuntimeError(msg)


def _cancelling() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _is_asked_for(error: BaseException, *, is_plain: bool, is_cancelled: bool) -> bool:
    """Tell whether *error* comes from outside of the function: it is to be ended."""
    if isinstance(error, GeneratorExit):
        return not is_plain  # a coroutine that is closed
    if isinstance(error, KeyboardInterrupt):  # threads get no Ctrl-C
        return not is_plain and threading.current_thread() is threading.main_thread()
    kinds = (Signal, asyncio.CancelledError) if is_cancelled else Signal
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kinds) is not None
    return isinstance(error, kinds)


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether *function* is called on the loop, not in a thread."""
    code = getattr(function, "__code__", None)  # what inspect looks at, without its detours
    if getattr(code, "co_flags", 0) & inspect.CO_COROUTINE:
        return True
    return inspect.iscoroutinefunction(function)
