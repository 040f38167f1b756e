"""
Threads for plain functions: as many as there are calls that wait, and few hand-overs.

Not asyncio's own pool: it has few threads, and handlers that wait in one for steps that wait for
one would block each other for ever. Ours grow as needed and do not hold up an exit.

* Handing a call to a thread costs more than most calls: both need the one interpreter lock. So one
  thread is woken for all calls that wait, goes from one to the next, and tells the loop after the
  last of them.
* It may find one that takes its time. So the loop looks soon: it takes what has been done, and
  wakes another thread for those that still wait, and then twice as many each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any, Never
from weakref import WeakKeyDictionary, ref

NAME = "kit-plain"
"""The name of each thread."""

_KEPT_IDLE = 32
_SOON = 0.001
"""Seconds until another thread helps with calls that still wait."""

_idle: list[tuple[threading.Thread, SimpleQueue[_Calls]]] = []
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Calls] = WeakKeyDictionary()
_under_way: dict[Hashable, _Call] = {}


class InThread(asyncio.Future[Any]):
    """What a call in a thread will come to. Cancelling it does not end the call."""


async def in_thread(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    key: Hashable | None = None,
) -> Any:
    """
    Call *function* in a thread, with the caller's context variables, and return what it comes to.

    A call that nobody waits for any more goes on all the same: another with the same *key* begins
    when it has ended.
    """
    loop = asyncio.get_running_loop()
    if key is not None:
        while (last := _under_way.get(key)) is not None:
            await last.ended(loop)
    call = _Call(InThread(loop=loop), contextvars.copy_context(), function, args, kwargs, key)
    calls = _by_loop.get(loop) or _first_of(loop)
    if key is not None:
        _under_way[key] = call
    calls.add(call)
    return await call.future


def _first_of(loop: asyncio.AbstractEventLoop) -> _Calls:
    """Return what takes the calls of *loop*, and let go of loops that were closed meanwhile."""
    with _lock:
        for each in [each for each in _by_loop if each.is_closed()]:
            del _by_loop[each]
        calls = _by_loop[loop] = _Calls(loop)
    return calls


def under_way() -> list[Hashable]:
    """Return the keys of the calls that have not ended, whether or not somebody waits for them."""
    return list(_under_way)


def when_ended(keys: Iterable[Hashable], then: Callable[[], object]) -> None:
    """Call *then* once these calls have ended: at once, or in the thread of the last of them."""
    with _lock:
        calls = [call for key in keys if (call := _under_way.get(key)) is not None]
        left = len(calls)

        def one_less() -> None:
            nonlocal left
            with _lock:
                left -= 1
                is_last = not left
            if is_last:
                then()

        for call in calls:
            call.waiters.append(one_less)
    if not calls:
        then()


def stay() -> Never:
    """Keep the calling thread where it is: its run is over, and its code does not listen."""
    while True:
        SimpleQueue[None]().get()


class _Call:
    __slots__ = (
        "args", "context", "error", "function", "future", "key", "kwargs", "value", "waiters",
    )  # fmt: skip

    def __init__(
        self,
        future: InThread,
        context: contextvars.Context,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: Hashable | None,
    ) -> None:
        self.future, self.context, self.key = future, context, key
        self.function, self.args, self.kwargs = function, args, kwargs
        self.value: Any = None
        self.error: BaseException | None = None
        self.waiters: list[Callable[[], object]] = []

    def carry_out(self) -> None:
        try:
            self.value = self.context.run(self.function, *self.args, **self.kwargs)
        except BaseException as raised:  # noqa: BLE001 - it belongs to whoever awaits the future
            self.error = raised
        if self.key is not None:
            with _lock:
                _under_way.pop(self.key, None)
                waiters, self.waiters = self.waiters, []
            for tell in waiters:
                tell()

    async def ended(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until the call has ended."""
        waiter: asyncio.Future[None] = loop.create_future()
        with _lock:
            if _under_way.get(self.key) is not self:
                return
            self.waiters.append(partial(_tell, loop, _settle_waiter, waiter))
        await waiter

    def settle(self) -> None:
        future, error = self.future, self.error
        if future.done():
            return
        if error is None:
            future.set_result(self.value)
        elif isinstance(error, StopIteration):
            future.set_exception(_wrapped(error))  # a future refuses StopIteration
        else:
            future.set_exception(error)


_lock = threading.Lock()


class _Calls:
    """
    The plain calls of one loop: those that wait, are under way, and have been done.

    None of its attributes may hold a loop that has been closed: that would live for ever.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._todo: deque[_Call] = deque()
        self._done: deque[_Call] = deque()
        self._lock = threading.Lock()
        self._awake = 0  # threads that were woken and have not gone back to sleep
        self._current: set[_Call] = set()
        self._slow: set[_Call] = set()  # those of them that were under way a while ago
        self._helpers = 1
        self._is_timed = False  # the timer itself holds the loop

    def add(self, call: _Call) -> None:
        """Let a thread carry out *call*: one that is awake and not busy, if there is one."""
        with self._lock:
            self._todo.append(call)
            wakes = self._awake <= len(self._slow)
            self._awake += wakes
        if wakes:
            _worker().put(self)
        if not self._is_timed:
            self._look_soon()

    def _look_soon(self) -> None:
        loop = self._loop()
        self._is_timed = loop is not None
        if loop is not None:
            loop.call_later(_SOON, self._help)

    def _help(self) -> None:
        """Take what has been done, and wake more threads for what waits: some may take long."""
        self._settle()
        with self._lock:
            self._slow = set(self._current)
            helpers = min(self._helpers, len(self._todo))
            self._awake += helpers
            is_over = not self._awake
        self._helpers = self._helpers * 2 if helpers else 1
        for _ in range(helpers):
            _worker().put(self)
        self._is_timed = False
        if not is_over:
            self._look_soon()

    def carry_out(self) -> None:
        """Carry out what waits, one call after the other, in a thread."""
        while (call := self._take()) is not None:
            call.carry_out()
            with self._lock:
                self._current.discard(call)
                self._slow.discard(call)
                self._done.append(call)
                is_last = not self._todo
            if is_last and not _tell(self._loop(), self._settle):
                self._done.clear()

    def _take(self) -> _Call | None:
        with self._lock:
            if not self._todo:
                self._awake -= 1
                return None
            call = self._todo.popleft()
            self._current.add(call)
            return call

    def _settle(self) -> None:
        while self._done:
            self._done.popleft().settle()


def _worker() -> SimpleQueue[_Calls]:
    """Return the inbox of a thread that is waiting for something to do."""
    while True:
        try:
            thread, inbox = _idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            threading.Thread(target=_work, args=(inbox,), name=NAME, daemon=True).start()
            return inbox
        if thread.is_alive():  # those of a parent process are not
            return inbox


def _work(inbox: SimpleQueue[_Calls]) -> None:
    while True:
        inbox.get().carry_out()
        if len(_idle) >= _KEPT_IDLE:
            return
        _idle.append((threading.current_thread(), inbox))


def _tell(
    loop: asyncio.AbstractEventLoop | None, function: Callable[..., None], *args: Any
) -> bool:
    """Call *function* in *loop*; tell whether it is there, as else nobody waits any more."""
    if loop is not None:
        with contextlib.suppress(RuntimeError):  # it was closed
            loop.call_soon_threadsafe(function, *args)
            return True
    return False


def _settle_waiter(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _wrapped(error: StopIteration) -> RuntimeError:
    wrapped = RuntimeError("the function raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def begin_afresh() -> None:
    """Know nothing, in a forked child, of what goes on in the parent's threads: none of it ends."""
    global _lock
    _lock = threading.Lock()
    _under_way.clear()
