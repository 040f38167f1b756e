"""
Where the code of one invocation waits for its end.

Rules of this room:

* Who wants the invocation to end *parks*: waits, and never goes on. Nothing is decided while a
  step is open. When all that goes on has parked, or the handler has ended, the driver in
  `execution` decides the outcome; only then is `Suspend` raised where they wait. So what
  user code does with `Suspend` cannot change an outcome.
* A failure beside what has parked after a step is no outcome yet: what has parked is let go on up
  to the next step, so that it shows whether the handler catches the failure.
* When the outcome is decided, all that is left of the handler is unwound: what has parked by
  `Suspend`, what waits elsewhere by being cancelled.
* No event tells what user code is about to do. Where that matters, it is given some turns of the
  loop, and where it may be busy with something real, some time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from kit.execution.calling import InThread
from kit.model.errors import Suspend

_LANDING_TURNS = 12
"""Turns of the loop an exception in flight, or a sibling about to begin, may take."""

PATIENCE_SECONDS = 2.0
"""How long code outside steps may be busy before it is taken for done with what it had to do."""

_SWALLOWS_ALLOWED = 20
_CANCELS = 5


class Parking:
    """The tasks of one invocation: which wait, which are open, and how they all end."""

    def __init__(self) -> None:
        self.open = 0
        self.broken: Exception | None = None  # the outcome, whatever the handler does with it
        self.ended = False  # the handler has returned or raised
        self.closed = False  # the outcome is decided
        self.tasks: set[asyncio.Task[Any]] = set()
        self.main: asyncio.Task[Any] | None = None
        self.is_plain = False  # the handler runs in a thread
        self._parked: dict[object, asyncio.Future[None]] = {}
        self._after_step: dict[object, asyncio.Future[None]] = {}
        self._swallowed = 0
        self._stirred: asyncio.Future[None] | None = None

    def begins(self, main: asyncio.Task[Any], *, is_plain: bool) -> None:
        """Note that the handler runs as *main*; a plain one in a thread."""
        self.main, self.is_plain = main, is_plain
        self.tasks.add(main)
        main.add_done_callback(self.handler_ended)

    def enter(self) -> asyncio.Task[Any]:
        """Note that the running task belongs to the invocation, and return it."""
        task = asyncio.current_task()
        if task is None:
            msg = "a step was asked for outside of any task; await it"
            raise RuntimeError(msg)
        self.tasks.add(task)
        return task

    def handler_ended(self, _task: asyncio.Task[Any]) -> None:
        """Note that the handler has returned or raised."""
        self.ended = True
        self.stir()

    def stir(self) -> None:
        """Let the driver look again."""
        if self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)

    async def park(self) -> None:
        """Wait for the end of the invocation; never return."""
        if self.closed and self._swallowed < _SWALLOWS_ALLOWED:
            self._swallowed += 1
            await asyncio.sleep(0)
            raise Suspend
        await self._waits(self._parked)

    async def park_after_step(self) -> None:
        """Wait for the end of the invocation, or until `release`."""
        await self._waits(self._after_step)
        if self.ended or self.closed:
            await self.park()

    def release(self) -> bool:
        """Let what has parked after a step go on, up to the next one; tell whether any does."""
        released, self._after_step = self._after_step, {}
        for future in released.values():
            if not future.done():
                future.set_result(None)
        return bool(released)

    async def _waits(self, place: dict[object, asyncio.Future[None]]) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place[future] = future
        self.stir()
        await future

    async def settled(self) -> None:
        """Wait until nothing is open, and something has parked or the handler has ended."""
        while self.open or not (self.ended or self._parked or self._after_step or self.broken):
            self._stirred = asyncio.get_running_loop().create_future()
            await self._stirred

    async def stays_settled(self) -> bool:
        """Give siblings their turns; tell whether still all that goes on is parked."""
        for _ in range(_LANDING_TURNS):
            await asyncio.sleep(0)
            if self.open or self.ended or self.broken:
                return False
        return True

    async def lets_others_go_on(self, until: Callable[[], bool]) -> None:
        """Give others their turns, until *until* holds; park if the invocation ends meanwhile."""
        for _ in range(_LANDING_TURNS):
            if until():
                return
            await asyncio.sleep(0)
            if self.ended or self.closed:
                await self.park()

    async def is_patient(self, until: Callable[[], bool]) -> None:
        """Give others some real time, until *until* holds or the handler has ended."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while not (until() or self.ended or self.closed) and loop.time() < end:  # noqa: ASYNC110 - rare
            await asyncio.sleep(0.01)

    def is_alone(self) -> bool:
        """Tell whether only the running task can ask for anything."""
        current = asyncio.current_task()
        if current is not self.main and not self.is_plain:
            return False  # there may be siblings that have not asked for anything yet
        return all(task in (current, self.main) or task.done() for task in self.tasks)

    def position(self) -> object:
        """Return what the handler waits for now; None if it is running."""
        return None if self.main is None else awaited_by(self.main)

    def has_moved(self, position: object) -> bool:
        """Tell whether the handler, elsewhere, has left *position* and not parked since."""
        if self.ended or self.main is asyncio.current_task():
            return False
        now = self.position()
        return now is not position and not self.is_parked_at(now)

    def is_parked_at(self, position: object) -> bool:
        """Tell whether who waits for *position* has parked."""
        return position in self._parked or position in self._after_step

    async def close(self, grace: float) -> None:
        """
        Unwind all that is left of the handler.

        Clean-up in user code gets *grace* seconds, then it is cancelled. A task that swallows
        that too is left where it is, never to be resumed.
        """
        self.closed = True
        unfinished = self._unfinished()
        if unfinished:
            await self._reach(unfinished)
            await self._ended_within(grace)
            for _ in range(_CANCELS):
                for task in self._unfinished():
                    task.cancel()
                await self._ended_within(0.1)
        for task in self.tasks:
            if not task.done():
                _abandon(task)
            elif not task.cancelled():
                task.exception()  # it is known; asyncio need not warn that nobody looked

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.tasks if not task.done()]

    async def _reach(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Raise `Suspend` in what has parked, and cancel what that does not move."""
        before = [awaited_by(task) for task in tasks]
        for future in (*self._parked.values(), *self._after_step.values()):
            if not future.done():
                future.set_exception(Suspend())
        for _ in range(_LANDING_TURNS):
            await asyncio.sleep(0)
        for task, waited in zip(tasks, before, strict=True):
            # a plain handler is on its way out in its thread, where nobody sees it move
            in_thread = self.is_plain and task is self.main and isinstance(waited, InThread)
            if waited is not None and awaited_by(task) is waited and not in_thread:
                task.cancel()

    async def _ended_within(self, seconds: float) -> None:
        """Wait for all tasks, at most *seconds*, and not where there is no point."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and self._swallowed < _SWALLOWS_ALLOWED:
            left = self._unfinished()
            if not left:
                return
            await asyncio.wait(left, timeout=min(seconds, 0.05))


def awaited_by(task: asyncio.Task[Any]) -> object:
    """Return the future that *task* waits for, None if it is running or done."""
    return task._fut_waiter  # type: ignore[attr-defined]


def _abandon(task: asyncio.Task[Any]) -> None:
    """
    Leave *task* where it is, so that neither asyncio nor the garbage collector resumes it.

    Code that swallows every `BaseException` in a loop would otherwise spin for ever when the loop
    is closed or the interpreter ends. The frame of a daemon thread outlives both.
    """
    asyncio.tasks._unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    threading.Thread(target=_hold, args=(task,), name="kit-abandoned", daemon=True).start()


def _hold(_task: asyncio.Task[Any]) -> None:
    threading.Event().wait()
