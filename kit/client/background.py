"""
One event loop in a thread of its own: where work goes on that nobody awaits.

A forked child begins afresh: it has none of its parent's threads, so the loop, and whatever lives
on it, is its parent's. It gets a loop of its own at the first use.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from kit.model.running import current

T = TypeVar("T")

EXIT_SECONDS = 10.0
"""How long an ending interpreter waits for what was deferred."""

CLOSE_SECONDS = 5.0
"""How long it then waits for what has to be closed."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_deferred: set[concurrent.futures.Future[Any]] = set()


def loop() -> asyncio.AbstractEventLoop:
    """Return the background loop; begin it if it is not running yet."""
    global _loop, _thread
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_work, args=(_loop,), name="kit-loop", daemon=True)
            _thread.start()
        return _loop


def end() -> None:
    """
    End the loop, its thread, and what still goes on there, if any of it has begun.

    A test or a program that forks has nothing of the kit running then; the next use begins anew.
    """
    global _loop, _thread
    with _lock:
        ended, thread = _loop, _thread
        _loop = _thread = None
    if ended is not None and thread is not None:
        ended.call_soon_threadsafe(ended.stop)
        thread.join()


def _work(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # which cancels and closes
        runner.get_loop().run_forever()


def start(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Begin *coroutine* on the background loop, from any thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop())


async def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await *coroutine* on the background loop, from any loop."""
    if asyncio.get_running_loop() is _loop:
        return await coroutine
    return await asyncio.wrap_future(start(coroutine))


def defer(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Begin *coroutine*; an ending interpreter waits for it."""
    future = start(coroutine)
    _deferred.add(future)
    future.add_done_callback(_deferred.discard)
    return future


class Closes(Protocol):
    """Something that is closed when the interpreter ends."""

    async def close(self) -> None:
        """Close it, on the background loop."""


_closes: WeakSet[Closes] = WeakSet()


def closes_at_exit(each: Closes) -> None:
    """Close *each* when the interpreter ends, if it still exists then."""
    _closes.add(each)


def flush(seconds: float = EXIT_SECONDS) -> None:
    """Wait for what was deferred, at most so many *seconds*."""
    concurrent.futures.wait(set(_deferred), timeout=seconds)


@atexit.register
def _end() -> None:
    """Wait for what was deferred, and close what has to be closed."""
    flush()
    closing = [start(each.close()) for each in list(_closes)]
    _closes.clear()
    concurrent.futures.wait(closing, timeout=CLOSE_SECONDS)


class Afresh(Protocol):
    """Something that holds what a forked child must not use."""

    def begin_afresh(self) -> None:
        """Forget all that belongs to the parent process, and touch nothing of it."""


_afresh: WeakSet[Afresh] = WeakSet()
_parents: list[object] = []


def begins_afresh(each: Afresh) -> None:
    """Call `begin_afresh` of *each* in every child this process forks."""
    _afresh.add(each)


def abandon(*belongings: object) -> None:
    """Keep what is the parent's from being closed by a child that merely drops it."""
    _parents.extend(belongings)


def _in_child() -> None:
    global _lock, _loop
    abandon(_loop, set(_deferred))
    _lock, _loop = threading.Lock(), None
    _deferred.clear()
    _closes.clear()
    current.set(None)  # a step that forks is its parent's
    for each in list(_afresh):
        each.begin_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
