"""
Who is open, who waits, and how it all ends: the one part of an invocation that knows tasks.

Rules of this room:

* A step is *open* while its function runs. Nothing is decided meanwhile.
* Who cannot go on yet waits *with us*. When all is quiet, the next one is let go on; one at a time,
  so that what follows from one has happened before the next: `asyncio.wait(FIRST_COMPLETED)`
  finds at a replay what it found before.
* When nobody can go on, the invocation is *stuck*: nothing is open, and every task waits with us or
  for others that do. A task that is busy elsewhere is given some time. Being wrong about it costs
  time only: what it does outside of steps may be done again.
* The outcome is decided before anything is unwound: then what user code does with `Suspend`, which
  is raised where it waits, cannot change it. What waits elsewhere is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kit.execution.tasks import (
    Leavable,
    Standing,
    Stuck,
    Task,
    awaited_by,
    owner,
    place_of,
    standing_of,
    watch,
)
from kit.execution.unwinding import QUIET_TURNS, unwind
from kit.model.signals import Suspend

GRACE_SECONDS = 1.0
"""How long an invocation that has nothing else to do waits for a task that is busy elsewhere."""

_MOVING_TURNS = 100
_SWALLOWS_ALLOWED = 20


class Gate:
    """
    The tasks of one invocation.

    *go_on* lets the next one go on and tells whether there is one; *stuck* is called when nobody
    can, and tells whether somebody can now.
    """

    def __init__(self, go_on: Callable[[], bool], stuck: Callable[[Stuck], bool]) -> None:
        self.open = 0
        self.held = 0
        self.has_raised = False  # a failure was raised past what is held
        self.ended = False  # the handler has returned or raised
        self.over = False  # the outcome is decided: nobody goes on
        self.is_broken = False
        self.is_plain = False
        self.loop = asyncio.get_running_loop()
        self.decided: asyncio.Future[None] = self.loop.create_future()
        self._go_on, self._stuck = go_on, stuck
        self._tasks: set[Task] = set()
        self._asked: set[Task] = set()  # those that have asked for anything
        self._waits: dict[Task, asyncio.Future[Any]] = {}
        self._elsewhere: set[Task] = set()  # those that do not wait with us
        self._awaited: dict[Task, asyncio.Future[Any] | None] = {}  # … and what they were found at
        self.to_be_cut_off: set[Task] = set()  # … but to be cancelled, as before
        self._from_handler = 0
        self._quiet = 0
        self._looking = False
        self._timer: asyncio.TimerHandle | None = None
        self._swallowed = 0

    # coming in

    def begin(self, handler: Leavable, *, is_plain: bool) -> asyncio.Task[Any]:
        """Begin *handler* as the task that all others come from; a plain one runs in a thread."""
        watch(self.loop)
        self.is_plain = is_plain
        self._handler = handler
        token = owner.set(self)
        try:
            self.main = self.loop.create_task(handler.run())
        finally:
            owner.reset(token)
        self.begins(self.main)
        self._asked.add(self.main)
        self.main.add_done_callback(self._handler_ended)
        return self.main

    def begins(self, task: Task) -> None:
        """Note a task that belongs to the invocation."""
        if task not in self._tasks:
            self._tasks.add(task)
            self._elsewhere.add(task)
            task.add_done_callback(self._task_ended)

    def enter(self) -> Task:
        """Note that the running task asks for something, and return it."""
        task = asyncio.current_task()
        if task is None:
            msg = "a step was asked for outside of any task; await it"
            raise RuntimeError(msg)
        if task not in self._asked:
            self._asked.add(task)
            self.begins(task)
        return task

    @property
    def is_alone(self) -> bool:
        """Whether only the running task can ask for anything."""
        return len(self._tasks) == (2 if self.is_plain else 1)

    @property
    def coroutines(self) -> list[object]:
        """What the tasks of the invocation run."""
        return [task.get_coro() for task in self._tasks]

    @property
    def is_quick(self) -> bool:
        """Whether the running task is the handler's only one, and may go on at once."""
        return len(self._tasks) == 1 and not (self.over or self.is_broken or self.is_plain)

    def _task_ended(self, task: Task) -> None:
        self._tasks.discard(task)
        self._elsewhere.discard(task)
        self._awaited.pop(task, None)
        if self._waits:
            self._stir()

    def _handler_ended(self, _task: Task) -> None:
        self.ended = True
        if not self.open:
            self.decide()

    # waiting with us

    async def wait(self, future: asyncio.Future[Any]) -> None:
        """Wait for *future*, which `go_on` settles."""
        task = self.enter()
        is_from_handler = owner.get() is self
        self._waits[task] = future
        self._elsewhere.discard(task)
        self._from_handler += is_from_handler
        self._stir()
        try:
            await future
        finally:
            self._from_handler -= is_from_handler
            del self._waits[task]
            self._elsewhere.add(task)

    async def hold(self) -> None:
        """
        Wait for the end of the invocation, with something that is to be stored first.

        Being cancelled does not count, since at a replay the answer comes before that; unless a
        failure that was recorded after it has been raised already.
        """
        self.held += 1
        while True:
            try:
                await self.wait(self.loop.create_future())
            except asyncio.CancelledError:
                if self.over or self.has_raised:
                    raise

    async def stay(self) -> None:
        """Wait for the end of the invocation; never return."""
        if self.over and self._swallowed < _SWALLOWS_ALLOWED:
            self._swallowed += 1
            await asyncio.sleep(0)
            raise Suspend
        await self.wait(self.loop.create_future())

    # looking

    def opens(self) -> Task | None:
        """Note that the running task, which is returned, is in something that is waited for."""
        self.open += 1
        task = asyncio.current_task()
        if task is not None:
            self._elsewhere.discard(task)
        return task

    def closes(self, task: Task | None) -> None:
        """Note that *task* is in that no more."""
        self.open -= 1
        if task in self._tasks:
            self._elsewhere.add(task)
        if self._waits:
            self._stir()
        if not self.open and (self.ended or self.is_broken):
            self.decide()

    def breaks(self) -> None:
        """Let the outcome be decided as soon as nothing is open, whoever goes on."""
        self.is_broken = True
        if not self.open:
            self.decide()

    def decide(self) -> None:
        """Let the outcome be decided now."""
        if not self.decided.done():
            self.decided.set_result(None)

    @property
    def is_decided(self) -> bool:
        """Whether nobody is to begin anything more."""
        return self.over or self.decided.done()

    def _stir(self) -> None:
        self._quiet = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._looking and not self.over:
            self._looking = True
            self.loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self.is_decided:
            return
        self._quiet += 1
        if self._quiet > QUIET_TURNS and not self._is_moving():
            self._act()
        else:
            self._looking = True
            self.loop.call_soon(self._look)

    def _act(self) -> None:
        """Let somebody go on; and if nobody can, see to that."""
        if not self._waits:
            return
        if self._go_on():
            self._stir()
        elif self.open or self.ended:
            return  # who closes what is open stirs again
        elif (how := self._stands_still()) is Stuck.IT_SEEMS and self.held:
            self.decide()  # there is something to store, and all goes on with it at once
        elif how is not None and self._stuck(how):
            self._stir()
        elif how is not Stuck.SURELY and self._timer is None:
            self._timer = self.loop.call_later(GRACE_SECONDS, self._late)

    def _late(self) -> None:
        self._timer = None
        if self.open or self.ended or self.is_decided or not self._waits:
            return
        if self._stuck(Stuck.FOR_LONG):
            self._stir()
        else:
            self._timer = self.loop.call_later(GRACE_SECONDS, self._late)

    def _is_moving(self) -> bool:
        if self._quiet > _MOVING_TURNS:
            return False  # whatever it is, it moves nothing
        return any(self._moves(each) for each in self._elsewhere)

    def _moves(self, task: Task) -> bool:
        """Tell whether *task* is about to go on; looked at once for each future it waits for."""
        awaited = self._awaited.get(task)
        if awaited is not None and not awaited.done():
            return False
        self._awaited[task] = awaited_by(self._coroutine_of(task))
        return self._standing(task) is Standing.MOVING

    def _stands_still(self) -> Stuck | None:
        others = {self._standing(each) for each in self._elsewhere - self.to_be_cut_off}
        if not others <= {Standing.ON_TASKS, Standing.ON_OTHERS}:
            return None
        if Standing.ON_OTHERS in others:
            return Stuck.IT_SEEMS
        return Stuck.BUT_CUT_OFFS if self._elsewhere & self.to_be_cut_off else Stuck.SURELY

    def _standing(self, task: Task) -> Standing:
        if self.is_plain and task is self.main:
            return Standing.ON_TASKS if self._from_handler else Standing.BUSY
        return standing_of(self._coroutine_of(task), self._tasks)

    def _coroutine_of(self, task: Task) -> Any:
        return self._handler.coroutine if task is self.main else task.get_coro()

    # the end

    async def close(self, grace: float) -> None:
        """Let nobody go on, and unwind what is left of the handler; see `unwinding`."""
        self.over = True
        self.decide()
        if self._timer:
            self._timer.cancel()
        if self.unfinished:
            await unwind(self, grace)
        for task in self._asked:
            if task.done() and not task.cancelled():
                task.exception()  # it is known; asyncio need not warn that nobody looked

    def let_go(self) -> None:
        """Hold on to nobody, since all have ended; who comes late gets no further than `stay`."""
        self._asked.clear()
        del self.main, self._go_on, self._stuck

    @property
    def unfinished(self) -> list[Task]:
        """The tasks that have asked for something and have not ended; the handler's is one."""
        return [task for task in self._asked if not task.done()]

    @property
    def is_listened_to(self) -> bool:
        """Whether `Suspend` has not been swallowed so often that there is no point in waiting."""
        return self._swallowed < _SWALLOWS_ALLOWED

    def raise_suspend(self) -> None:
        """Raise `Suspend` in all that waits with us."""
        for future in self._waits.values():
            if not future.done():
                future.set_exception(Suspend())

    def place_of(self, task: Task) -> object:
        """Return where *task* is, to see whether it moves; nothing if it is in a thread."""
        in_thread = self.is_plain and task is self.main
        return None if in_thread else place_of(self._coroutine_of(task))

    def leave_handler(self) -> None:
        """Leave the handler where it is, never to be resumed."""
        self._handler.leave()
        self.main.cancel()
