"""
One invocation of a handler: what it asks for, and how that is answered.

A handler is always run from the top. What may be asked for, and in which order, `memory` knows; who
goes on when, `gate`; who is to blame for a failed attempt, `failures`.

* A step whose checkpoint was delivered answers from memory. One without is run when all that is
  recorded has answered, and recorded, whether it succeeds, fails or is cut off.
* A cut-off step waits, at a replay, to be cut off again. It does not wait with us: whoever cuts it
  off is about to.
* Events sent are recorded too and travel with the next checkpoint; their ids depend on the run and
  on what they say, so that sending again sends the same event.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

from kit.execution.calling import call
from kit.execution.envelope import as_inner, error_envelope, portable, value_envelope, value_of
from kit.execution.failures import Failures
from kit.execution.gate import Gate, Stuck
from kit.execution.memory import CHANGED, Memory
from kit.execution.promised import Promised
from kit.execution.sends import Sends, checkpoint_of
from kit.execution.tasks import owner
from kit.model.delivery import AfterStep, Checkpoint, Checkpointer, CheckpointKind, Delivery, Sleep
from kit.model.duration import Duration, due_at
from kit.model.errors import PayloadError, ReplayError, StepUsageError
from kit.model.event import Event
from kit.model.progress import ProgressKind
from kit.model.running import current as current

Observe = Callable[[ProgressKind, Mapping[str, Any]], None]
Send = Callable[[Event], Awaitable[None]]


class Invocation:
    """What a handler asks for; `execute` drives it, `context` is its face."""

    def __init__(
        self,
        delivery: Delivery,
        checkpointer: Checkpointer,
        *,
        after: AfterStep,
        now: Callable[[], int],
        send: Send | None,
        observe: Observe | None,
    ) -> None:
        self.delivery = delivery
        self.memory = Memory(delivery.checkpoints.values())
        self.failures = Failures()
        self.gate = Gate(self._go_on, self._stuck)
        self.sleeps: dict[str, Sleep] = {}
        self.promised = Promised()
        self.broken: Exception | None = None  # the outcome, whatever the handler does with it
        self.stopping = False
        self.loop = self.gate.loop
        self._sends = Sends(delivery)
        self._checkpointer = checkpointer
        self._after = after
        self.now = now
        self._send = send
        self._observe = observe
        self._turns: dict[str, asyncio.Future[None]] = {}  # who asked for what is recorded
        self._answers: deque[_Answer] = deque()  # … for what has just been
        self._begins: deque[tuple[str, asyncio.Future[None]]] = deque()  # … for what is new
        self._uncut: dict[str, tuple[float, asyncio.Future[None]]] = {}
        self._is_ahead = False
        self._is_warned = False

    # what handlers ask for

    async def run_step(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Answer a step from memory, or run it and record what it came to."""
        if self.gate.is_quick and (known := self.memory.ask_first(step_id)) is not None:
            return self._remember(known, function)
        return await self._run_step(step_id, function, args, kwargs)

    async def _run_step(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        outer = await self._enter()
        if not callable(function):
            self.refuse(_no_function(step_id, function))
        known = self._ask(step_id, CheckpointKind.STEP)
        if known is not None and await self._turn(known):
            return self._remember(known, function)
        if outer is None:
            await self._may_begin(step_id)
        value, failure, answer = await self._open(step_id, function, args, kwargs, outer)
        if answer is not None:
            await self._answer(answer)
        elif outer is None:
            await self.gate.hold()
        if failure is not None:
            _raise(failure)
        return value

    async def sleep(self, step_id: str, duration: Duration | datetime) -> None:
        """Answer a sleep from memory, or wait until the invocation is over."""
        due_at(duration, 0)  # refuses what is none, before anything is asked for
        outer = await self._enter()
        known = self._ask(step_id, CheckpointKind.SLEEP)
        if known is not None and await self._turn(known):
            return
        if outer is not None:
            msg = (
                f"sleep {step_id!r} stands within step {outer!r}, which would have"
                " to run again after it; sleep between steps, not within one"
            )
            self.refuse(StepUsageError(msg, step_id=step_id))
        due = self.delivery.asleep.get(step_id)
        if due is None:
            await self._may_begin(step_id)
            due = due_at(duration, self.now())
            self._tell(ProgressKind.SLEPT, stepId=step_id)
        await self._sleep_on(Sleep(step_id, due))

    async def _sleep_on(self, sleep: Sleep) -> None:
        began = self.now()
        self.sleeps[sleep.step_id] = sleep
        try:
            await self.gate.stay()
        except asyncio.CancelledError as error:
            if not self.gate.over:
                del self.sleeps[sleep.step_id]
                self._cut_off(sleep.step_id, error, began)
                await self._answer_cut_off()
            raise

    async def send(self, event: Event, when: str, *, keeps_id: bool = False) -> Event:
        """
        Send *event* under an id made from all it says, unless an earlier invocation has.

        *when* is when it may start, as it was asked for. With *keeps_id*, its id is its own.
        """
        try:
            event.encoded()  # what cannot travel is refused before anything else
        except PayloadError as error:
            self.failures.give_up(error)
            raise
        outer = await self._enter()
        if keeps_id:
            step_id = checkpoint_of(event.name, event.id)
        else:
            event_id, step_id = self._sends.place(event, when, outer or "")
            event = replace(event, id=event_id)
        if outer is None:
            known = self.memory.ask_for_send(step_id)
            if known is not None and await self._turn(known):
                return event
            await self._may_begin(f"event {event.name}", is_send=True)
        try:
            await self._send_now(event)
        except BaseException:
            if not keeps_id:
                self._sends.failed(event, when, outer or "")
            raise
        self._tell(ProgressKind.EVENT_SENT, name=event.name, eventId=event.id)
        if outer is None:
            at = self.now()
            text = json.dumps({"value": event.name})  # for who looks at the run; not read again
            self.memory.record(step_id, CheckpointKind.SEND, text, at, at)
            await self._have_turn(_Answer())
        return event

    async def _send_now(self, event: Event) -> None:
        if self._send is None:
            msg = f"event {event.name!r} cannot be sent: nothing here sends events"
            raise RuntimeError(msg)
        self.gate.opens()
        try:
            await self._send(event)
        finally:
            self.gate.closes()

    def refuse(self, error: Exception) -> NoReturn:
        """Raise *error*, and make it the outcome whatever the handler does with it."""
        self._break(error)
        raise error

    def _break(self, error: Exception) -> None:
        self.broken = self.broken or error
        self.gate.breaks()

    # what is asked for, on its way

    async def _enter(self) -> str | None:
        """Return the step around the running code; stay if there is nothing more to ask for."""
        self.gate.enter()
        if self.gate.over or self.broken:
            await self.gate.stay()
        running = current.get()
        return running[1] if running and running[0] is self else None

    def _ask(self, step_id: str, kind: CheckpointKind) -> Checkpoint | None:
        try:
            return self.memory.ask(step_id, kind)
        except ReplayError as error:
            error.run_id = self.delivery.event.id
            self.refuse(error)
        except StepUsageError as error:
            self.refuse(error)

    async def _turn(self, known: Checkpoint) -> bool:
        """
        Wait until *known* stands first in the queue, and take it off.

        Tell whether it answers: a cut-off that nobody brings about any more does not.
        """
        if known.kind is CheckpointKind.CUT_OFF:
            return await self._wait_to_be_cut_off(known)
        if not self.memory.waits_its_turn(known):
            return True
        if self.gate.is_alone and self.memory.first is known:
            self.memory.leave(known)
            return True
        try:
            await self._wait_for(known)
        except asyncio.CancelledError:
            if not self.gate.over:
                self.memory.cut(known)
            raise
        return True

    async def _wait_for(self, known: Checkpoint) -> None:
        turn = self._turns[known.step_id] = _future()
        try:
            await self.gate.wait(turn)
        finally:
            self._turns.pop(known.step_id, None)

    async def _wait_to_be_cut_off(self, known: Checkpoint) -> bool:
        """
        Wait to be cancelled, as before; and then until all that was before that has been.

        Return False if nobody does so any more: it is to be run, as if it never had been.
        """
        again, task = _future(), self.gate.enter()
        self._uncut[known.step_id] = (self.loop.time(), again)
        self.gate.to_be_cut_off.add(task)
        try:
            await again
        except asyncio.CancelledError as error:
            self.gate.to_be_cut_off.discard(task)
            self.failures.note(error, known.step_id)
            while self.memory.waits_its_turn(known) and not self.gate.over:
                if self.gate.is_alone and self.memory.first is known:
                    self.memory.leave(known)
                    break
                with suppress(asyncio.CancelledError):  # it is being cancelled
                    await self._wait_for(known)
            raise
        finally:
            self.gate.to_be_cut_off.discard(task)
            self._uncut.pop(known.step_id, None)
        return False

    async def _have_turn(self, answer: _Answer) -> None:
        """Line up *answer*, and wait until it is its turn."""
        self._answers.append(answer)
        await self._answer(answer)

    async def _answer(self, answer: _Answer) -> None:
        """Wait until what was recorded before has answered, and that has had its effects."""
        if self.gate.is_alone and self._answers[0] is answer:
            self._answers.popleft()
            return
        answer.turn = _future()
        try:
            await self.gate.wait(answer.turn)
        finally:
            answer.is_gone = True

    async def _may_begin(self, step_id: str, *, is_send: bool = False) -> None:
        """Return when something new may begin; stay if the invocation is ending."""
        if self.memory.is_used_up and not self._is_ending:
            return
        while True:
            if self._is_ending:
                await self.gate.stay()
            if self.memory.is_used_up:
                return
            begin = _future()
            self._begins.append((step_id, begin))
            try:
                await self.gate.wait(begin)
            except asyncio.CancelledError as error:
                if not is_send and not self.gate.over:
                    self._cut_off(step_id, error, self.now())
                    await self._answer_cut_off()
                raise

    @property
    def _is_ending(self) -> bool:
        gate = self.gate
        self.stopping = self.stopping or self._checkpointer.stopped
        return self.stopping or self._is_ahead or gate.ended or gate.is_decided

    def _gets_ahead(self) -> bool:
        """
        Note that somebody goes on past what is held, if anything is.

        At a replay that will have had its effects first. So whatever is done now about a failure,
        or about being cut off, nothing new begins in this invocation.
        """
        self._is_ahead = self._is_ahead or self.gate.held > 0
        return self._is_ahead

    def _cut_off(self, step_id: str, error: BaseException, started: int) -> None:
        """Record that a step or sleep was cancelled from within."""
        if self.gate.over:
            return
        self._gets_ahead()
        self.memory.record(step_id, CheckpointKind.CUT_OFF, None, started, self.now())
        self.failures.note(error, step_id)

    async def _answer_cut_off(self) -> None:
        """Wait, while being cancelled, until what was recorded before has had its effects."""
        while not self.gate.over:
            with suppress(asyncio.CancelledError):
                return await self._have_turn(_Answer())
        return None

    # a step's way

    def _remember(self, known: Checkpoint, function: Callable[..., Any]) -> Any:
        try:
            return value_of(known.text or "{}", function, known.step_id)
        except ReplayError as error:
            self.refuse(error)
        except Exception as error:
            self.failures.note(error, known.step_id)
            raise

    async def _open(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outer: str | None,
    ) -> tuple[Any, Exception | None, _Answer | None]:
        """Run a step and record what it comes to: its value, or failure; and how it answers."""
        started = self.now()
        if self._observe:
            self._tell(ProgressKind.STEP_STARTED, stepId=step_id)
        self.gate.opens()
        whose, where = owner.set(None), current.set((self, step_id))
        failure: Exception | None = None
        is_cut_off = has_ended = False
        try:
            value = await call(function, args, kwargs, (self.delivery.event.id, step_id))
            has_ended = True
            text, value = value_envelope(value, function, step_id)
        except Exception as error:  # noqa: BLE001 - the handler gets it
            value, failure = None, self._failed(step_id, error, outer, started)
            if has_ended:  # what it came to cannot be kept, and would not be the next time
                self.failures.give_up(failure)
            answer = self._answered(outer, failure)
        except asyncio.CancelledError as error:
            self._cut_off(step_id, error, started)
            is_cut_off = outer is None
            raise
        else:
            answer = await self._keep(step_id, text, outer, started)
        finally:
            owner.reset(whose)
            current.reset(where)
            self.gate.closes()
            if is_cut_off:
                await self._answer_cut_off()
        if self.gate.over or self.gate.ended or self.broken:
            await self.gate.stay()
        return value, failure, answer

    async def _keep(
        self, step_id: str, text: str, outer: str | None, started: int
    ) -> _Answer | None:
        """Record a step's value, and store it if that is to be done at once."""
        text = text if outer is None else as_inner(text)
        self.memory.record(step_id, CheckpointKind.STEP, text, started, self.now())
        answer = self._answered(outer, None)
        try:
            if self._after is AfterStep.COMMIT:
                await self._checkpointer.commit(self.memory.take())
        except Exception as error:  # noqa: BLE001 - what a handler must not take for its step's
            self._break(error)
        except BaseException:
            if answer is not None:
                answer.is_gone = True
            raise
        if self._observe:
            self._tell(ProgressKind.STEP_FINISHED, stepId=step_id)
        return answer

    def _answered(self, outer: str | None, failure: Exception | None) -> _Answer | None:
        """Line up an answer, where there is to be one in this invocation."""
        if outer is not None or (failure is None and self._after is AfterStep.SUSPEND):
            return None
        answer = _Answer(is_failure=failure is not None)
        self._answers.append(answer)
        return answer

    def _failed(self, step_id: str, error: Exception, outer: str | None, started: int) -> Exception:
        """Record a step's failure, and return what is to be raised."""
        raised = portable(error, step_id)
        if raised is not error:
            raised.__cause__ = error
        text = error_envelope(raised)
        if not self.gate.over:
            text = text if outer is None else as_inner(text)
            self.memory.record(step_id, CheckpointKind.STEP, text, started, self.now())
        self.failures.note(raised, step_id)
        kind = type(error).__qualname__
        self._tell(ProgressKind.STEP_FAILED, stepId=step_id, error=str(raised), type=kind)
        return raised

    # who goes on

    def _go_on(self) -> bool:
        """Let the next one go on, and tell whether there is one."""
        first = self.memory.first
        turn = self._turns.get(first.step_id) if first else None
        if first and turn and not turn.done():
            self.memory.leave(first)
            turn.set_result(None)
            return True
        if self._answers and self._answer_next():
            return True
        if self.memory.is_used_up and self._begins:
            begins, self._begins = self._begins, deque()
            return sum(_settle(begin) for _, begin in begins) > 0  # each of them, not the first
        return False

    def _answer_next(self) -> bool:
        while self._answers and self._answers[0].is_gone:
            self._answers.popleft()
        if self._answers and self._answers[0].turn is not None:
            answer = self._answers.popleft()
            self.gate.has_raised |= self._gets_ahead() and answer.is_failure
            return _settle(answer.turn)
        return False

    def _stuck(self, how: Stuck) -> bool:
        """See to it that nobody can go on; tell whether somebody can now."""
        if how is Stuck.FOR_LONG and self._give_up_cut_off():
            return True
        if self.memory.pass_over():
            return True
        if how is Stuck.BUT_CUT_OFFS:
            return False
        if self._let_out_of_turn():
            return True
        if not self.memory.is_used_up:
            self._find_changed(how is Stuck.FOR_LONG)
        elif self.sleeps or self.gate.held or self.stopping:
            self.gate.decide()
        return False

    def _let_out_of_turn(self) -> bool:
        """Let go of one that has no value to wait for; tell whether there is one."""
        for step_id, turn in self._turns.items():
            known = self.memory.lets_go(step_id)
            if known is not None and not turn.done():
                self.memory.leave(known)
                return _settle(turn)
        return False

    def _give_up_cut_off(self) -> bool:
        """
        Let one be run that waits to be cut off, longer than it took before; tell whether any is.

        What cut it off was code outside of steps that goes another way now.
        """
        for step_id, (since, again) in self._uncut.items():
            known = self.memory.find(step_id)
            if known is None or again.done():
                continue
            took = (known.ended - known.started) / 1000
            if self.loop.time() - since > took:
                self.memory.cut(known)
                self.memory.drop(known)
                return _settle(again)
        return False

    def _find_changed(self, is_late: bool) -> None:
        """Refuse code that no longer asks for what is recorded; as long as it is busy, wait."""
        asked = next((step_id for step_id, begin in self._begins if not begin.done()), None)
        new = f"the handler asks for {asked!r} as a new step, but never" if asked else "nobody asks"
        unasked = self.memory.unasked
        if is_late:
            self._warn(new, unasked)
            return
        msg = f"{new} for {unasked}, which the run has recorded: {CHANGED}"
        error = ReplayError(msg, run_id=self.delivery.event.id)
        for _, begin in self._begins:
            if not begin.done():
                begin.set_exception(error)
        self._break(error)

    def _warn(self, new: str, unasked: str) -> None:
        if not self._is_warned:
            self._is_warned = True
            said = f"{new} for {unasked} so far, which comes first; something else is busy"
            logging.getLogger("kit").warning("run %s waits: %s", self.delivery.event.id, said)

    def _tell(self, what: ProgressKind, **data: Any) -> None:
        if self._observe is not None:
            self._observe(what, data)


class _Answer:
    """What was recorded in this invocation, until whoever asked for it goes on with it."""

    __slots__ = ("is_failure", "is_gone", "turn")

    def __init__(self, *, is_failure: bool = False) -> None:
        self.is_failure = is_failure
        self.turn: asyncio.Future[None] | None = None  # set when all is stored
        self.is_gone = False


def _raise(failure: Exception) -> NoReturn:
    """Raise a step's failure, without losing what it was raised in."""
    context = failure.__context__
    try:
        raise failure
    finally:
        if context is not None:
            failure.__context__ = context


def _no_function(step_id: str, given: Any) -> StepUsageError:
    if inspect.iscoroutine(given):
        given.close()
        name = given.__name__
    else:
        name = "f"
    msg = (
        f"step {step_id!r} is given {given!r:.100}, not a function; did you forget that the step"
        f" calls it? Write step.run({step_id!r}, {name}) and its arguments, not {name}(…)"
    )
    return StepUsageError(msg, step_id=step_id)


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[None] | None) -> bool:
    if future is not None and not future.done():
        future.set_result(None)
        return True
    return False
