"""How a step runs that is new: its function is called, and what comes of it is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from kit.execution.calling import call
from kit.execution.envelope import as_inner, error_envelope, portable, value_envelope
from kit.execution.failures import Failures
from kit.execution.memory import Memory
from kit.execution.tasks import owner
from kit.execution.turns import Answer, Turns
from kit.model.delivery import AfterStep, Checkpoint, CheckpointKind
from kit.model.progress import ProgressKind
from kit.model.running import Running, current

Observe = Callable[[ProgressKind, Mapping[str, Any]], None]
Commit = Callable[[Sequence[Checkpoint]], Awaitable[None]]


class NewStep(NamedTuple):
    """A step that is to run: its function, and the step around it, if any."""

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
        *,
        after: AfterStep,
        commit: Commit,
        breaks: Callable[[Exception], None],
        now: Callable[[], int],
        observe: Observe | None,
    ) -> None:
        self._running = running
        self._memory, self._failures, self._turns = memory, failures, turns
        self._after, self._commit, self._breaks = after, commit, breaks
        self._now, self._observe = now, observe

    async def run(self, step: NewStep) -> Any:
        """Run *step*, and return its value or raise its failure when it is their turn."""
        value, failure, answer = await self._open(step)
        if answer is not None:
            await self._turns.answer(answer)
        elif step.outer is None:
            await self._turns.gate.hold()
        if failure is not None:
            _raise(failure)
        return value

    def cut_off(self, step_id: str, error: BaseException, started: int) -> None:
        """Record that a step or sleep was cancelled from within."""
        if self._turns.gate.over:
            return
        self._turns.gets_ahead()
        self._memory.record(step_id, CheckpointKind.CUT_OFF, None, started, self._now())
        self._failures.note(error, step_id)

    def tell(self, what: ProgressKind, **data: Any) -> None:
        """Tell whoever watches."""
        if self._observe is not None:
            self._observe(what, data)

    async def _open(self, step: NewStep) -> tuple[Any, Exception | None, Answer | None]:
        """Return what a step comes to: its value, or failure; and how it answers."""
        gate, started, step_id = self._turns.gate, self._now(), step.step_id
        if self._observe:
            is_given = step.args or step.kwargs
            told = {"stepId": step_id, "call": step} if is_given else {"stepId": step_id}
            self._observe(ProgressKind.STEP_STARTED, told)
        task = gate.opens()
        whose, where = owner.set(None), current.set((self._running, step_id))
        failure: Exception | None = None
        is_cut_off = has_ended = False
        try:
            key = (self._running.delivery.event.id, step_id)
            value = await call(step.function, step.args, step.kwargs, key)
            has_ended = True
            text, value = value_envelope(value, step.function, step_id)
        except Exception as error:  # noqa: BLE001 - the handler gets it
            value, failure = None, self._failed(step, error, started)
            if has_ended:  # what it came to cannot be kept, and would not be the next time
                self._failures.give_up(failure)
            answer = self._answer(step, failure)
        except asyncio.CancelledError as error:
            self.cut_off(step_id, error, started)
            is_cut_off = step.outer is None
            raise
        else:
            answer = await self._keep(step, text, started)
        finally:
            owner.reset(whose)
            current.reset(where)
            gate.closes(task)
            if is_cut_off:
                await self._turns.answer_cut_off()
        if gate.over or gate.ended or gate.is_broken:
            await gate.stay()
        return value, failure, answer

    async def _keep(self, step: NewStep, text: str, started: int) -> Answer | None:
        """Record a step's value, and store it if that is to be done at once."""
        text = text if step.outer is None else as_inner(text)
        self._memory.record(step.step_id, CheckpointKind.STEP, text, started, self._now())
        answer = self._answer(step, None)
        try:
            if self._after is AfterStep.COMMIT:
                await self._commit(self._memory.take())
        except Exception as error:  # noqa: BLE001 - what a handler must not take for its step's
            self._breaks(error)
        except BaseException:
            if answer is not None:
                answer.is_gone = True
            raise
        if self._observe:
            self._observe(ProgressKind.STEP_FINISHED, {"stepId": step.step_id})
        return answer

    def _answer(self, step: NewStep, failure: Exception | None) -> Answer | None:
        """Line up an answer, where there is to be one in this invocation."""
        if step.outer is not None or (failure is None and self._after is AfterStep.SUSPEND):
            return None
        return self._turns.line_up(is_failure=failure is not None)

    def _failed(self, step: NewStep, error: Exception, started: int) -> Exception:
        """Record a step's failure, and return what is to be raised."""
        raised = portable(error, step.step_id)
        if raised is not error:
            raised.__cause__ = error
        if not self._turns.gate.over:
            text = error_envelope(raised)
            text = text if step.outer is None else as_inner(text)
            self._memory.record(step.step_id, CheckpointKind.STEP, text, started, self._now())
        self._failures.note(raised, step.step_id)
        kind = type(error).__qualname__
        self.tell(ProgressKind.STEP_FAILED, stepId=step.step_id, error=str(raised), type=kind)
        return raised


def _raise(failure: Exception) -> NoReturn:
    """Raise a step's failure, without losing what it was raised in."""
    context = failure.__context__
    try:
        raise failure
    finally:
        if context is not None:
            failure.__context__ = context
