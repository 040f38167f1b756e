"""How a step runs that is new: its function is called, and what comes of it is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from kit.execution.answer import AT_ONCE, Answer
from kit.execution.branch import Branch
from kit.execution.calling import call
from kit.execution.envelope import CUT, as_inner, error_envelope, portable, value_envelope
from kit.execution.failures import Failures
from kit.execution.forgetting import lies_within
from kit.execution.memory import Memory
from kit.execution.misuse import never_awaited
from kit.execution.promised import Promised
from kit.execution.returns import check_returns
from kit.execution.tasks import owner
from kit.execution.turns import Turns
from kit.model.delivery import AfterStep, Checkpointer, CheckpointKind, Sleep
from kit.model.failure import text_of
from kit.model.progress import ProgressKind
from kit.model.running import Running, current

Observe = Callable[[ProgressKind, Mapping[str, Any]], None]


class NewStep(NamedTuple):
    """A step that is to run in *branch*: its function, and the step around it, if any."""

    branch: Branch
    step_id: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outer: str | None


class Runner:
    """
    Runs the new steps of one invocation, *running*.

    *breaks* is told of a store that fails: that is no step's failure, and the outcome.
    """

    def __init__(
        self,
        running: Running,
        memory: Memory,
        failures: Failures,
        turns: Turns,
        checkpointer: Checkpointer,
        *,
        gathers: bool,
        breaks: Callable[[Exception], None],
        promised: Promised,
        now: Callable[[], int],
        observe: Observe | None,
    ) -> None:
        self._running = running
        self._memory, self._failures, self._turns = memory, failures, turns
        self._checkpointer, self._gathers, self._breaks = checkpointer, gathers, breaks
        self._now, self._observe = now, observe
        self._promised = promised

    @property
    def after_step(self) -> AfterStep:
        """What happens after a fresh step."""
        return AfterStep.GATHER if self._gathers else self._checkpointer.after_step

    @property
    def has_something(self) -> bool:
        """Whether anything is yet to be stored."""
        return self._memory.has_outcomes

    async def run(self, step: NewStep) -> Any:
        """Run *step*, and return its value or raise its failure when it is their turn."""
        if self._observe:
            self._tell_started(step)
        value, failure, answer = await self._open(step)
        if answer is not None:
            if answer is not AT_ONCE:
                await self._have_turn(step.step_id, answer)
        elif step.outer is None:
            await self._turns.gate.hold()
        if failure is not None:
            _raise(failure)
        return value

    def cut_off(
        self, step_id: str, error: BaseException, started: int, outer: str | None = None
    ) -> None:
        """Record that a step or sleep was cancelled from within; it ran within *outer*."""
        if self._turns.gate.over:
            return
        self._turns.gets_ahead()
        text = None if outer is None else as_inner(CUT, outer)
        self._memory.record(step_id, CheckpointKind.CUT_OFF, text, started, self._now())
        self._failures.note(error, step_id)

    def tell(self, what: ProgressKind, **data: Any) -> None:
        """Tell whoever watches."""
        if self._observe is not None:
            self._observe(what, data)

    def _tell_started(self, step: NewStep) -> None:
        given = {"call": step} if step.args or step.kwargs else {}
        self.tell(ProgressKind.STEP_STARTED, stepId=step.step_id, **given)

    async def _open(self, step: NewStep) -> tuple[Any, Exception | None, Answer | None]:
        """Return what a step comes to: its value, or failure; and how it answers."""
        gate, started, step_id = self._turns.gate, self._now(), step.step_id
        was = gate.opens(step.branch)
        whose, where = owner.set(None), current.set((self._running, step_id))
        failure: Exception | None = None
        is_cut_off, is_final = False, True
        try:
            check_returns(step.function)
            is_final = False
            key = (self._running.delivery.event.id, step_id)
            value = await call(step.function, step.args, step.kwargs, key)
            is_final = not self._promised.within or self._has_awaited(step_id)
            text, value = value_envelope(value, step.function, step_id)
        except Exception as error:  # noqa: BLE001 - the handler gets it
            value, failure = None, self._failed(step, error, started, is_final=is_final)
            answer = self._turns.line_up(Answer(is_failure=True)) if step.outer is None else None
        except asyncio.CancelledError as error:
            self.cut_off(step_id, error, started, step.outer)
            is_cut_off = step.outer is None
            raise
        else:
            after = self.after_step
            answer = self._keep(step, text, started, after)
            if after is AfterStep.COMMIT:
                await self._commit(step_id, answer)
            if self._observe:
                self._observe(ProgressKind.STEP_FINISHED, {"stepId": step_id})
        finally:
            owner.reset(whose)
            current.reset(where)
            gate.closes(step.branch, was)
            if is_cut_off:
                await self._turns.answer_cut_off()
        if gate.over or (step.outer is None and (gate.ended or gate.is_broken)):
            await gate.stay()  # but what lies within another step is what that waits for
        return value, failure, answer

    def _has_awaited(self, step_id: str) -> bool:
        """Refuse a step that has ended without awaiting what it has asked for."""
        forgotten = self._promised.forgotten_within(step_id)
        if forgotten:
            error = never_awaited(f"step {step_id!r}", forgotten)
            self._breaks(error)
            raise error
        return True

    def _keep(self, step: NewStep, text: str, started: int, after: AfterStep) -> Answer | None:
        """Record a step's value, and line up if it is to answer in this invocation."""
        text = text if step.outer is None else as_inner(text, step.outer)
        self._memory.record(step.step_id, CheckpointKind.STEP, text, started, self._now())
        if step.outer is not None or after is AfterStep.SUSPEND:
            return None
        return AT_ONCE if self._turns.gate.is_quick else self._turns.line_up()

    async def _commit(self, step_id: str, answer: Answer | None) -> None:
        """
        Store what is fresh, of *step_id* the last, before its *answer*.

        Who is cut off meanwhile has its turn all the same, unless it is alone.
        """
        taken = self._memory.take()
        try:
            await self._checkpointer.commit(taken)
        except Exception as error:  # noqa: BLE001 - what a handler must not take for its step's
            self._memory.put_back(taken)
            self._breaks(error)
        except asyncio.CancelledError as error:
            self._memory.put_back(taken)
            if answer is None or self._turns.gate.over:
                raise
            self._cut_off_late(step_id, error)
            if answer is AT_ONCE:
                raise
            answer.late = error

    async def _have_turn(self, step_id: str, answer: Answer) -> None:
        """Wait for the turn of what was recorded; who is cut off meanwhile has it all the same."""
        late = answer.late
        if late is None:
            try:
                return await self._turns.answer(answer)
            except asyncio.CancelledError as error:
                self._cut_off_late(step_id, error)
                late = error
        await self._turns.answer_cut_off(answer)
        raise late

    def _cut_off_late(self, step_id: str, error: asyncio.CancelledError) -> None:
        """Record that who asked for what was just recorded was cancelled before it got that."""
        if not self._turns.gate.over:
            self._memory.cut_off(step_id, self._now())
            self._failures.note(error, step_id)

    async def wake(self, sleep: Sleep) -> None:
        """Record that *sleep* is over, and return when that has its turn."""
        gate = self._turns.gate
        self._memory.record(sleep.step_id, CheckpointKind.SLEEP, None, sleep.due, sleep.due)
        answer = self._turns.line_up()
        branch = gate.enter()
        was = gate.opens(branch)
        try:
            if self.after_step is AfterStep.COMMIT:
                await self._commit(sleep.step_id, answer)
        finally:
            gate.closes(branch, was)
        if gate.over or gate.ended or gate.is_broken:
            await gate.stay()
        await self._have_turn(sleep.step_id, answer)

    def _failed(
        self, step: NewStep, error: Exception, started: int, *, is_final: bool
    ) -> Exception:
        """
        Record a step's failure, and return what is to be raised.

        One that *is_final* would be the same the next time: the function cannot be called, or what
        it came to cannot be kept.
        """
        raised = portable(error, step.step_id)
        if raised is not error:
            raised.__cause__ = error
        if not self._turns.gate.over:
            find, blamed = self._memory.find, self._failures.to_blame(error)
            within = (each for each in blamed if lies_within(each, step.step_id, find))
            is_hopeless = is_final or self._failures.is_given_up(raised)
            text = error_envelope(raised, within, is_hopeless=is_hopeless)
            text = text if step.outer is None else as_inner(text, step.outer)
            self._memory.record(step.step_id, CheckpointKind.STEP, text, started, self._now())
        self._failures.note(raised, step.step_id)
        kind = type(error).__qualname__
        self.tell(ProgressKind.STEP_FAILED, stepId=step.step_id, error=text_of(raised), type=kind)
        if is_final:
            self._failures.give_up(raised)
        return raised


def _raise(failure: Exception) -> NoReturn:
    """Raise a step's failure, without losing what it was raised in."""
    context = failure.__context__
    try:
        raise failure
    finally:
        if context is not None:
            failure.__context__ = context
