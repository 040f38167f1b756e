"""
One invocation of a handler: what it has asked for, what is open, what is fresh.

A handler is always run from the top. Rules of this room:

* A step whose checkpoint was delivered answers from memory. One without is *open* while its
  function runs, then *fresh*.
* Who wants the invocation to end *parks*: waits, and never goes on. Nothing is decided while a
  step is open. When all that goes on has parked, or the handler has ended, the driver in
  `execution` decides the outcome; only then is `Suspend` raised where they wait. So what
  user code does with `Suspend` cannot change an outcome.
* A step's failure is *caught* when the handler goes on past it: it then travels as a checkpoint
  with the next one, and is raised again on replay. A failure that ends the handler does not.
* Events sent travel with the next checkpoint too; their ids depend on the run and their place in
  it, so that sending again sends the same event.
* Before a fresh step begins, every checkpoint of the run must have been asked for, else the code
  no longer fits the run: that is reported, and the step is not run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from kit.calling import call
from kit.envelope import error_envelope, nested_in, portable, value_envelope, value_of, with_nested
from kit.errors import ReplayError, StepUsageError, Suspend
from kit.event import Event, derived_id
from kit.payload import check_travels
from kit.run import After, Checkpoint, Checkpointer, CheckpointKind, Delivery, Sleep
from kit.step_id import check_step_id, repeated

# how many turns of the loop an exception in flight, or a sibling about to begin, may take
_LANDING_TURNS = 12
# seconds that parallel branches may spend outside steps before a checkpoint is given up for gone
_BRANCH_PATIENCE = 2.0
_SWALLOWS_ALLOWED = 20
_CANCELS = 5

Observe = Callable[[str, Mapping[str, Any]], None]
Send = Callable[[Event], Awaitable[None]]

current: ContextVar[tuple[Invocation, _Scope | None] | None] = ContextVar("current", default=None)
"""The invocation that the running code belongs to, and the step within it, if any."""


class _Scope:
    """A step while its function runs, and the ids of the steps that ran within it."""

    __slots__ = ("nested", "step_id")

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        self.nested: list[str] = []


class Invocation:
    """The book-keeping of one invocation; `execution` drives it, `step` is its face."""

    def __init__(
        self,
        delivery: Delivery,
        checkpointer: Checkpointer,
        *,
        after: After,
        now: Callable[[], int],
        send: Send | None,
        observe: Observe | None,
    ) -> None:
        self.delivery = delivery
        self.fresh: list[Checkpoint] = []
        self.sleeps: list[Sleep] = []
        self.broken: Exception | None = None
        self.open = 0
        self.ended = False  # the handler has returned or raised
        self.closed = False  # the outcome is decided
        self.stopping = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.main: asyncio.Task[Any] | None = None
        self._checkpointer = checkpointer
        self._after = after
        self._now = now
        self._send = send
        self._observe = observe
        self._asked: set[str] = set()
        self._gone = {
            step_id: checkpoint
            for step_id, checkpoint in delivery.checkpoints.items()
            if checkpoint.kind in (CheckpointKind.STEP, CheckpointKind.SLEEP)
        }
        self._carried: list[Checkpoint] = []
        self._failures: list[Checkpoint] = []
        self._failed_in: dict[int, tuple[BaseException, str]] = {}
        self._sent: dict[tuple[str, str], int] = {}
        self._parked: list[asyncio.Future[None]] = []
        self._swallowed = 0
        self._stirred: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ what handlers ask for

    async def run_step(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Answer a step from memory, or run it and store what it came to."""
        outer = await self._scope()
        known = self._ask(step_id, CheckpointKind.STEP, outer)
        if known is not None:
            for nested in nested_in(known.text):
                self._gone.pop(nested, None)
            return value_of(known.text or "{}", function, step_id)
        await self._may_begin(step_id, outer)
        self.open += 1
        try:
            value = await self._open(step_id, function, args, kwargs)
        finally:
            self.open -= 1
            self._stir()
        if self.ended or (self._after is After.SUSPEND and outer is None):
            await self._park()
        return value

    async def sleep(self, sleep: Sleep) -> None:
        """Answer a sleep from memory, or park until the invocation is over."""
        outer = await self._scope()
        if self._ask(sleep.step_id, CheckpointKind.SLEEP, outer) is not None:
            return
        if outer is not None:
            msg = (
                f"sleep {sleep.step_id!r} stands within step {outer.step_id!r}, which would have"
                " to run again after it; sleep between steps, not within one"
            )
            self._break(StepUsageError(msg, step_id=sleep.step_id))
        await self._may_begin(sleep.step_id, outer)
        self.sleeps.append(sleep)
        self._tell("slept", stepId=sleep.step_id)
        await self._park()

    async def send(self, name: str, data: Any, *, make: Callable[[str], Event]) -> Event:
        """
        Send the event that *make* makes from an id, unless an earlier invocation has.

        The id depends on the run, the step around it, the name, and how many of that name went
        before.
        """
        check_travels(data, f"the data of event {name!r}")
        outer = await self._scope()
        where = outer.step_id if outer else ""
        count = self._sent[where, name] = self._sent.get((where, name), -1) + 1
        event = make(derived_id(self.delivery.event.id, where, name, str(count)))
        step_id = f"kit:send:{name}:{count}"
        if outer is None and step_id in self.delivery.checkpoints:
            return event
        if outer is None:
            await self._may_begin(step_id, outer)
        if self._send is None:
            msg = f"event {name!r} cannot be sent: nothing here sends events"
            raise RuntimeError(msg)
        self.open += 1
        try:
            await self._send(event)
        finally:
            self.open -= 1
            self._stir()
        self._tell("event-sent", name=name, eventId=event.id)
        if outer is None:
            at = self._now()
            self._carried.append(Checkpoint(step_id, CheckpointKind.SEND, None, at, at))
        return event

    # ------------------------------------------------------------ a step's way

    async def _scope(self) -> _Scope | None:
        """Return the step around the running code; park if there is nothing more to ask for."""
        task = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
        if self.closed or self.broken:
            await self._park()
        running = current.get()
        return running[1] if running and running[0] is self else None

    def _ask(self, step_id: str, kind: CheckpointKind, outer: _Scope | None) -> Checkpoint | None:
        try:
            check_step_id(step_id)
        except StepUsageError as error:
            self._break(error)
        if step_id in self._asked:
            self._break(repeated(step_id))
        self._asked.add(step_id)
        if outer is not None:
            outer.nested.append(step_id)
        known = self.delivery.checkpoints.get(step_id)
        if known is None:
            return None
        del self._gone[step_id]
        if known.kind is not kind:
            msg = (
                f"the handler asks for the {kind} {step_id!r}, but the run recorded a {known.kind}"
                " of that id; give a new step a new id"
            )
            self._break(ReplayError(msg, run_id=self.delivery.event.id))
        return known

    async def _may_begin(self, step_id: str, outer: _Scope | None) -> None:
        """Return if a fresh step may begin; park if the invocation is ending."""
        if self._checkpointer.stopped:
            self.stopping = True
        if self.ended or self.closed or self.stopping:
            await self._park()
        if self._failures or (self._gone and outer is None):
            await self._land(step_id)

    async def _land(self, step_id: str) -> None:
        for _ in range(_LANDING_TURNS):
            await asyncio.sleep(0)
            if self.ended or self.closed:
                await self._park()
            if not self._gone and not self._failures:
                return
        if self._gone and asyncio.current_task() is not self.main:
            await self._wait_for_branches()
        if self._gone:
            gone = ", ".join(repr(each) for each in self._gone)
            msg = (
                f"the handler asks for {step_id!r} as a new step, but never for {gone}, which the"
                " run has recorded: the workflow was changed while this run was under way. Keep"
                " the ids and the order of finished steps, or retry the run from its start"
            )
            self._break(ReplayError(msg, run_id=self.delivery.event.id))
        self._carried += self._failures
        self._failures.clear()

    async def _wait_for_branches(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _BRANCH_PATIENCE
        while self._gone and not self.ended and not self.closed and loop.time() < until:  # noqa: ASYNC110 - rare, and no event says so
            await asyncio.sleep(0.01)
        if self.ended or self.closed:
            await self._park()

    async def _open(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        scope = _Scope(step_id)
        token = current.set((self, scope))
        started = self._now()
        if self._observe:
            self._tell("step-started", stepId=step_id)
        try:
            value = await call(function, args, kwargs)
            text, value = value_envelope(value, function, step_id)
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises
            raise self._failed(step_id, error, started) from error.__cause__
        finally:
            current.reset(token)
        text = with_nested(text, scope.nested)
        await self._store(Checkpoint(step_id, CheckpointKind.STEP, text, started, self._now()))
        if self._observe:
            self._tell("step-finished", stepId=step_id)
        return value

    async def _store(self, checkpoint: Checkpoint) -> None:
        fresh = (*self._carried, checkpoint)
        self._carried.clear()
        if self._after is After.COMMIT:
            await self._checkpointer.commit(fresh)
        else:
            self.fresh += fresh

    def _failed(self, step_id: str, error: Exception, started: int) -> Exception:
        raised = portable(error, step_id)
        text = error_envelope(raised)
        self._failures.append(Checkpoint(step_id, CheckpointKind.STEP, text, started, self._now()))
        self._failed_in[id(raised)] = (raised, step_id)
        self._tell("step-failed", stepId=step_id, error=str(error), type=type(error).__qualname__)
        return raised

    def _break(self, error: Exception) -> None:
        """Raise *error*, and make it the outcome whatever the handler does with it."""
        self.broken = self.broken or error
        raise error

    # ------------------------------------------------------------ what the driver asks for

    def hand_over(self, *, caught: bool) -> tuple[Checkpoint, ...]:
        """
        Take all that is fresh; what only travels along goes if there is something to go with.

        With *caught*, the handler has lived on past every failure so far.
        """
        if caught:
            self._carried += self._failures
            self._failures.clear()
        fresh = (*self.fresh, *self._carried) if caught else tuple(self.fresh)
        self.fresh, self._carried = [], []
        return fresh

    @property
    def gone(self) -> list[str]:
        """The ids of delivered checkpoints nobody has asked for."""
        return list(self._gone)

    def step_of(self, error: BaseException) -> str | None:
        """Return the id of the step that *error* came from, if it came from one."""
        part: BaseException | None = error
        while part is not None:
            known = self._failed_in.get(id(part))
            if known:
                return known[1]
            part = part.__cause__ or part.__context__
        return None

    def handler_ended(self, _task: asyncio.Task[Any]) -> None:
        """Note that the handler has returned or raised."""
        self.ended = True
        self._stir()

    async def settled(self) -> None:
        """Wait until nothing is open, and something has parked or the handler has ended."""
        while self.open or not (self.ended or self._parked):
            self._stirred = asyncio.get_running_loop().create_future()
            await self._stirred

    async def stays_settled(self) -> bool:
        """Give siblings their turns; tell whether still all that goes on is parked."""
        for _ in range(_LANDING_TURNS):
            await asyncio.sleep(0)
            if self.open or self.ended:
                return False
        return True

    async def close(self, grace: float) -> None:
        """
        Unwind all that is left of the handler.

        Clean-up in user code gets *grace* seconds, then it is cancelled. A task that swallows
        that too is left where it is, never to be resumed.
        """
        self.closed = True
        for future in self._parked:
            if not future.done():
                future.set_exception(Suspend())
        left = await self._ended_within(grace, {task for task in self.tasks if not task.done()})
        for _ in range(_CANCELS):
            for task in left:
                task.cancel()
            left = await self._ended_within(0.1, left)
        for task in self.tasks:
            if task in left:
                _abandon(task)
            elif not task.cancelled():
                task.exception()  # it is known; asyncio need not warn that nobody looked

    async def _ended_within(
        self, seconds: float, tasks: set[asyncio.Task[Any]]
    ) -> set[asyncio.Task[Any]]:
        """Wait for *tasks*; return those still there after *seconds*, or once there is no point."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while tasks and loop.time() < until and self._swallowed < _SWALLOWS_ALLOWED:
            _, tasks = await asyncio.wait(tasks, timeout=min(seconds, 0.05))
        return tasks

    async def _park(self) -> None:
        if self.closed and self._swallowed < _SWALLOWS_ALLOWED:
            self._swallowed += 1
            await asyncio.sleep(0)
            raise Suspend
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked.append(future)
        self._stir()
        await future

    def _stir(self) -> None:
        if self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)

    def _tell(self, what: str, **data: Any) -> None:
        if self._observe is not None:
            self._observe(what, data)


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
