"""
The tasks of an invocation: which there are, and whether they could go on by themselves.

A task factory tells of every task that is begun in a handler. What a task waits for is read off its
coroutine: asyncio tells nobody, but a coroutine shows what it awaits. Where that cannot be read, a
task counts as busy, which costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import types
from asyncio import locks, queues, taskgroups, tasks
from collections.abc import Callable, Collection, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from enum import Enum
from typing import Any, Protocol, cast

Task = asyncio.Task[Any]


class Standing(Enum):
    """What a task is at that does not wait with us."""

    MOVING = "moving"  # it is about to go on
    BUSY = "busy"  # it waits for something from outside, or nobody can tell
    ON_TASKS = "on-tasks"  # it waits for other tasks of its invocation
    ON_OTHERS = "on-others"  # … for a lock, an event or a queue, so most likely for one of them


class Stuck(Enum):
    """How it is known that nobody can go on."""

    SURELY = "surely"  # everybody waits with us, or for others that do
    BUT_CUT_OFFS = "but cut-offs"  # … or to be cut off, as before
    IT_SEEMS = "it seems"  # … or for a lock, a queue or the like, which may be others' as well
    FOR_LONG = "for long"  # somebody is busy elsewhere, and time is up


class Owner(Protocol):
    """Whom the tasks of an invocation belong to."""

    loop: asyncio.AbstractEventLoop

    def begins(self, task: Task) -> None:
        """Note a task that is begun in the handler."""


owner: ContextVar[Owner | None] = ContextVar("owner", default=None)
"""Whom a task that is begun belongs to; None outside of handlers, and within steps."""


def apart() -> Context:
    """Return the current context for a task that belongs to no handler, whoever asks for it."""
    context = copy_context()
    context.run(owner.set, None)
    return context


class _Factory:
    """The loop's task factory, which tells owners of their tasks; *then* is one set before."""

    def __init__(self, then: Callable[..., Any] | None) -> None:
        self._then = then

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> Any:
        if self._then is None:
            task: Any = asyncio.Task(coroutine, loop=loop, **options)
        else:
            task = self._then(loop, coroutine, **options)
        context = options.get("context")
        whose = owner.get() if context is None else context.get(owner)
        if whose is not None and whose.loop is loop and not task.done():
            whose.begins(task)
        return task


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """See to it that owners are told of the tasks begun on *loop*."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Factory):
        loop.set_task_factory(cast("Any", _Factory(factory)))


def standing_of(coroutine: Any, others: Collection[Task]) -> Standing:
    """Tell what a task that runs *coroutine* is at, in an invocation that has *others*."""
    chain = _awaited_in(coroutine)
    leaf = chain[-1]
    if isinstance(leaf, types.CoroutineType | types.GeneratorType):
        return Standing.MOVING  # it runs, or has not begun, or lets others go first
    future = _future_in(leaf)
    if future is None:
        return Standing.BUSY
    if future.done():
        return Standing.MOVING
    called = _called_of_asyncio(chain)
    if _waits_for_tasks(called) or _are_tasks(_parts_of(future), others):
        return Standing.ON_TASKS
    if called is not None and called.cr_code.co_filename in (locks.__file__, queues.__file__):
        return Standing.ON_OTHERS
    return Standing.BUSY


def awaited_by(coroutine: Any) -> Any:
    """Return the one future that *coroutine* goes on with, which may take no look to find again."""
    return _future_in(_awaited_in(coroutine)[-1])


def place_of(coroutine: Any) -> object:
    """Return what *coroutine* awaits, to see whether it has moved: another place is another."""
    return _awaited_in(coroutine)[-1]


class Leavable:
    """
    A coroutine that can be left where it is, though it swallows whatever is raised in it.

    Otherwise code that catches every `BaseException` in a loop would keep a task, and with it the
    whole loop, from ever ending.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self._is_left = False

    async def run(self) -> Any:
        """Run the coroutine to its end, or until it is left."""
        return await self

    def leave(self) -> None:
        """Do not resume it any more; who awaits `run` is to be cancelled now."""
        self._is_left = True
        # the frame of a daemon thread outlives the loop and the interpreter, and keeps the garbage
        # collector from closing the coroutine, which would resume it
        hold = threading.Event().wait
        threading.Thread(
            target=lambda _kept: hold(), args=(self.coroutine,), name="kit-left", daemon=True
        ).start()

    def __await__(self) -> Generator[Any, Any, Any]:
        resume, given = self.coroutine.send, None
        while True:
            try:
                awaited = resume(given)
            except StopIteration as end:
                return end.value
            try:
                resume, given = self.coroutine.send, (yield awaited)
            except BaseException as error:
                if self._is_left:
                    raise
                resume, given = self.coroutine.throw, error


def _future_in(leaf: Any) -> Any:
    futures = [each for each in gc.get_referents(leaf) if asyncio.isfuture(each)]
    return futures[0] if len(futures) == 1 else None


def _awaited_in(coroutine: Any) -> list[Any]:
    """Return *coroutine*, what it awaits, what that awaits, and so on."""
    chain = [coroutine]
    while True:
        inner = getattr(chain[-1], "cr_await", None) or getattr(chain[-1], "gi_yieldfrom", None)
        if inner is None:
            return chain
        chain.append(inner)


def _called_of_asyncio(chain: list[Any]) -> Any:
    """Return the coroutine of asyncio's that the user's code awaits, or None."""
    called = None
    for each in reversed(chain[:-1]):
        file = each.cr_code.co_filename if isinstance(each, types.CoroutineType) else ""
        if not file.startswith(_ASYNCIO):
            break
        called = each
    return called


def _waits_for_tasks(called: Any) -> bool:
    """Tell whether the code called last waits for tasks, by a function of asyncio's for that."""
    if called is None or called.cr_code.co_filename not in (tasks.__file__, taskgroups.__file__):
        return False
    if called.cr_code is asyncio.sleep.__code__:
        return False
    return called.cr_frame.f_locals.get("timeout") is None  # else it goes on by itself


def _parts_of(future: Any) -> list[Any]:
    """Return the futures that *future* waits for: itself if it is a task, those `gather` has."""
    if isinstance(future, asyncio.Task):
        return [future]
    if type(future) is asyncio.Future:
        return []
    held = gc.get_referents(future)
    for each in list(held):
        held += each.values() if isinstance(each, dict) else ()
    return [
        part for each in held if isinstance(each, list) for part in each if asyncio.isfuture(part)
    ]


def _are_tasks(parts: list[Any], others: Collection[Task]) -> bool:
    left = [part for part in parts if not part.done()]
    return bool(left) and all(part in others for part in left)


_ASYNCIO = asyncio.__file__.rpartition("__init__")[0]
