"""
One invocation of a handler: what it asks for, and how that is answered.

A handler is always run from the top. What may be asked for, and in which order, `memory` knows; who
goes on when, `turns`; how a new step runs, `runner`; who is to blame for a failed attempt,
`failures`; and who is there at all, `gate`.

* A step whose checkpoint was delivered answers from memory. One without is run when all that is
  recorded has answered, and recorded, whether it succeeds, fails or is cut off.
* Events sent are recorded too and travel with the next checkpoint; their ids depend on the run and
  on what they say, so that sending again sends the same event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from kit.execution.changes import Changes
from kit.execution.envelope import failed_within, is_hopeless, value_of
from kit.execution.failures import Failures
from kit.execution.memory import Memory
from kit.execution.misuse import in_another_loop, no_function, sleep_within
from kit.execution.promised import Promised
from kit.execution.runner import NewStep, Observe, Runner
from kit.execution.sending import Send, Sending
from kit.execution.sleeping import Sleeping
from kit.execution.turns import Turns
from kit.model.delivery import Checkpoint, Checkpointer, CheckpointKind, Delivery, Sleep
from kit.model.duration import Duration, due_at
from kit.model.errors import PayloadError, ReplayError, StepUsageError
from kit.model.event import Event
from kit.model.progress import ProgressKind
from kit.model.running import current

T = TypeVar("T")


class Invocation:
    """What a handler asks for; `execute` drives it, `context` is its face."""

    def __init__(
        self,
        delivery: Delivery,
        checkpointer: Checkpointer,
        *,
        gathers: bool,
        now: Callable[[], int],
        send: Send | None,
        observe: Observe | None,
        linger: float | None,
    ) -> None:
        self.delivery = delivery
        self.memory = Memory(delivery.checkpoints.values())
        self.failures = Failures()
        self.promised = Promised()
        self.broken: Exception | None = None  # the outcome, whatever the handler does with it
        self.stopping = False
        self.now = now
        changes = Changes(delivery.event.id, self.memory, self._refuse_changed)
        self._turns = Turns(self.memory, self.failures, changed=changes.unasked, rests=self._rests)
        self.gate = gate = self._turns.gate
        self.loop, gate.say = gate.loop, changes.stands
        gate.asleep_for = lambda: self.sleeping.lasts()
        gate.kept = (self.failures, self.promised)
        self._runner = Runner(
            self,
            self.memory,
            self.failures,
            self._turns,
            checkpointer,
            gathers=gathers,
            breaks=self._break,
            promised=self.promised,
            now=now,
            observe=observe,
        )
        self._checkpointer = checkpointer
        self._send, self._linger = send, linger

    async def run_step(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Answer a step from memory, or run it and record what it came to."""
        self._check_loop("step", step_id)
        gate, memory = self.gate, self.memory
        if not memory.is_used_up and gate.is_quick and (known := memory.ask_first(step_id)):
            return self._remember(known, function)
        branch, running = gate.enter(), current.get()
        outer = running[1] if running and running[0] is self else None
        if gate.over or (gate.is_broken and self._is_over(outer)):
            await gate.stay()
        if not callable(function):
            self.refuse(no_function(step_id, function))
        known = self._ask(step_id, CheckpointKind.STEP, outer)
        if known and (await self._turns.of(known) or (known := memory.find(step_id))):
            return self._remember(known, function)
        if outer is None and (not memory.is_used_up or self._is_ending):
            await self._may_begin(step_id)
        return await self._runner.run(NewStep(branch, step_id, function, args, kwargs, outer))

    async def sleep(self, step_id: str, duration: Duration | datetime) -> None:
        """Answer a sleep from memory, or wait until the invocation is over."""
        self._check_loop("sleep", step_id)
        due_at(duration, 0)  # refuses what is none, before anything is asked for
        outer = await self._enter()
        known = self._ask(step_id, CheckpointKind.SLEEP, outer)
        if known is not None and await self._turns.of(known):
            return
        if outer is not None:
            self.refuse(sleep_within(step_id, outer))
        due = self.delivery.asleep.get(step_id)
        if due is None:
            await self._may_begin(step_id)
            due = due_at(duration, self.now())
            self._runner.tell(ProgressKind.SLEPT, stepId=step_id)
        is_moment = isinstance(duration, datetime)
        await self.sleeping.through(Sleep(step_id, due, until=is_moment))

    async def send(self, event: Event, when: str, *, keeps_id: bool = False) -> Event:
        """
        Send *event* under an id made from all it says, unless an earlier invocation has.

        *when* is when it may start, as it was asked for. With *keeps_id*, its id is its own.
        """
        self._check_loop("event", event.name)
        try:
            event.encoded()  # what cannot travel is refused before anything else
        except PayloadError as error:
            self.failures.give_up(error)
            raise
        outer = await self._enter()
        return await self._sending.through(event, when, outer, keeps_id=keeps_id)

    @cached_property
    def sleeping(self) -> Sleeping:
        """The sleeps that the handler is in."""
        return Sleeping(self._turns, self._runner, self.now, self._linger, self.delivery.asleep)

    @cached_property
    def _sending(self) -> Sending:
        return Sending(
            self.delivery,
            self.memory,
            self._turns,
            self._runner,
            self._send,
            may_begin=lambda what: self._may_begin(what, is_send=True),
            now=self.now,
        )

    def promise(
        self, what: str, name: str, coroutine: Coroutine[Any, Any, T]
    ) -> Coroutine[Any, Any, T]:
        """Note a *coroutine* that was asked for: to be awaited before who asked for it ends."""
        outer = self._outer()
        if outer is None:
            return self.promised.note(what, name, coroutine)
        self.promised.note_within(outer, (what, name, coroutine))
        return coroutine

    def refuse(self, error: Exception) -> NoReturn:
        """Raise *error*, and make it the outcome whatever the handler does with it."""
        self._break(error)
        raise error

    def _check_loop(self, what: str, name: str) -> None:
        if asyncio.get_running_loop() is self.loop:
            return
        error = in_another_loop(what, name)
        with suppress(RuntimeError):  # the handler's loop is closed: nobody wants to know
            self.loop.call_soon_threadsafe(self._break, error)
        raise error

    def _break(self, error: Exception) -> None:
        self.broken = self.broken or error
        self.gate.breaks()

    async def _enter(self) -> str | None:
        """Return the step around the running code; stay if there is nothing more to ask for."""
        self.gate.enter()
        outer = self._outer()
        if self._is_over(outer):
            await self.gate.stay()
        return outer

    def _outer(self) -> str | None:
        running = current.get()
        return running[1] if running and running[0] is self else None

    def _is_over(self, outer: str | None) -> bool:
        """Tell whether there is nothing more to ask for; within a step, that is waited for."""
        return self.gate.over or (self.broken is not None and outer is None)

    def _ask(self, step_id: str, kind: CheckpointKind, outer: str | None) -> Checkpoint | None:
        try:
            return self.memory.ask(step_id, kind, outer)
        except ReplayError as error:
            error.run_id = self.delivery.event.id
            self.refuse(error)
        except StepUsageError as error:
            self.refuse(error)

    async def _may_begin(self, step_id: str, *, is_send: bool = False) -> None:
        """Return when something new may begin; stay if the invocation is ending."""
        while self._is_ending or not self.memory.is_used_up:
            if self._is_ending:
                await self.gate.stay()
            try:
                if await self._turns.begin(step_id) and not self._is_ending:
                    return
            except asyncio.CancelledError as error:
                if not is_send and not self.gate.over:
                    self._runner.cut_off(step_id, error, self.now())
                    await self._turns.answer_cut_off()
                raise

    @property
    def _is_ending(self) -> bool:
        if self._checkpointer.stopped:
            self.stopping = self.gate.is_ending = True
        return self.gate.is_ending or self.gate.is_past_held

    def _remember(self, known: Checkpoint, function: Callable[..., Any]) -> Any:
        try:
            return value_of(known.text or "{}", function, known.step_id)
        except ReplayError as error:
            self.refuse(error)
        except Exception as error:
            for within in reversed(failed_within(known.text or "")):
                self.failures.note(error, within)
            self.failures.note(error, known.step_id)
            if is_hopeless(known.text or ""):
                self.failures.give_up(error)
            raise

    def let_go(self) -> None:
        """
        Break the circles of references, since it is over and nobody is left in it.

        Otherwise each waits for the garbage collector, which was a sixth of what a short run takes.
        Who comes late gets no further than `gate.stay`.
        """
        self.gate.let_go()
        del self._turns, self._runner
        for each in ("sleeping", "_sending"):
            self.__dict__.pop(each, None)

    def _refuse_changed(self, error: ReplayError) -> None:
        self._turns.refuse(error)
        self._break(error)

    def _rests(self, is_busy: bool) -> bool:
        """Tell whether the invocation may end: all sleep, or something is to be stored first."""
        if not is_busy:
            return bool(self.sleeping.under_way) or self.stopping
        return self._is_ending or self.sleeping.may_end()


# what an error calls a coroutine of theirs that was never awaited
Invocation.run_step.__name__, Invocation.sleep.__name__ = "step.run", "step.sleep"
