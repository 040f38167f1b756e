"""
Whose turn it is: who waits for what is recorded, for what has just been, or to begin something new.

* What is recorded answers in its order, one at a time: the next when all that follows from the last
  has happened.
* What has just been recorded answers in that order, too; so the first time is as any other.
* Something new begins when all that is recorded has answered.
* A cut-off step waits, at a replay, to be cut off again. It does not wait with us: whoever cuts it
  off is about to. When that has happened, it has its turn like the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from kit.execution.answer import AT_ONCE, Answer
from kit.execution.asked import Asked, settle
from kit.execution.branch import State
from kit.execution.envelope import is_inner
from kit.execution.failures import Failures
from kit.execution.gate import Gate
from kit.execution.looking import Stuck
from kit.execution.memory import Memory
from kit.execution.undisturbed import Undisturbed
from kit.model.delivery import Checkpoint, CheckpointKind


class Turns:
    """
    Those who wait in one invocation.

    *changed* is called when nobody can ask for what is recorded, with the id that is asked for
    instead, if one is, and whether that may still change. *rests* is asked whether the invocation
    may end when nobody can go on, and told whether somebody is busy elsewhere.
    """

    def __init__(
        self,
        memory: Memory,
        failures: Failures,
        *,
        changed: Callable[[str | None, bool], None],
        rests: Callable[[bool], bool],
    ) -> None:
        self.gate = Gate(self._go_on, self._stuck)
        self.is_ahead = False
        self._memory, self._failures = memory, failures
        self._changed, self._rests = changed, rests
        self.asked = Asked()  # who asked for what is recorded
        self._answers: deque[Answer] = deque()  # … for what has just been
        self._begins: deque[tuple[str, asyncio.Future[Any]]] = deque()  # … for what is new
        self._uncut: dict[str, tuple[float, asyncio.Future[None]]] = {}

    async def of(self, known: Checkpoint) -> bool:
        """
        Wait until *known* stands first in the queue, and take it off.

        Tell whether it answers: a cut-off that nobody brings about any more does not.
        """
        if known.kind is CheckpointKind.CUT_OFF:
            if is_inner(known.text):  # what a step does within is done anew until it has ended
                self._memory.take_up_again(known)
                return False
            return await self._to_be_cut_off(known)
        is_due = self._memory.waits_its_turn(known) or self.asked.has(known.step_id)
        if not is_due or self._takes_at_once(known):
            return True
        try:
            await self._wait_for(known, self.gate.loop.create_future())
        except asyncio.CancelledError:
            if not self.gate.over:
                self._memory.cut(known, leaves=not self.asked.has(known.step_id))
            raise
        return True

    def _takes_at_once(self, known: Checkpoint) -> bool:
        if self.gate.is_alone and self._memory.first is known:
            self._memory.leave(known)
            return True
        return False

    async def _wait_for(self, known: Checkpoint, turn: asyncio.Future[Any]) -> None:
        self.asked.enter(known.step_id, turn)
        try:
            await self.gate.wait(turn)
        finally:
            self.asked.leave(known.step_id, turn)

    async def _to_be_cut_off(self, known: Checkpoint) -> bool:
        """
        Wait to be cancelled, as before; and then until all that was before that has been.

        Return False if nobody does so any more: it is to be run, as if it never had been.
        """
        again, branch = self.gate.loop.create_future(), self.gate.enter()
        self._uncut[known.step_id] = (self.gate.loop.time(), again)
        branch.state = State.TO_BE_CUT_OFF
        self.gate.looking.later(self._look_at_uncut)
        try:
            await again
        except asyncio.CancelledError as error:
            branch.state = State.BETWEEN_STEPS
            self._failures.note(error, known.step_id)
            is_due = self._memory.waits_its_turn(known) and not self.gate.over
            if is_due and not self._takes_at_once(known):
                await self._wait_for(known, Undisturbed(lambda: self.gate.over))
            raise
        finally:
            branch.state = State.BETWEEN_STEPS
            self._uncut.pop(known.step_id, None)
        return False

    def _look_at_uncut(self) -> None:
        """Give up those that nobody cuts off any more: the code that did may have been changed."""
        gate = self.gate
        if gate.is_decided or not self._uncut:
            return
        is_seen_to = gate.open or gate.waits or not gate.looking.waits_for_cut_offs
        if is_seen_to or not self._give_up_cut_off():
            gate.looking.later(self._look_at_uncut)

    def line_up(self, answer: Answer | None = None, behind: Answer | None = None) -> Answer:
        """Return the place of what has just been recorded: last, or right *behind* another."""
        answer, answers = answer or Answer(), self._answers
        answer.is_gone = False
        if behind is None:
            answers.append(answer)
        else:
            answers.insert(answers.index(behind) + 1 if behind in answers else 0, answer)
        return answer

    async def answer(self, answer: Answer, turn: asyncio.Future[Any] | None = None) -> None:
        """Wait until what was recorded before has answered, and that has had its effects."""
        if self.gate.is_alone and self._answers and self._answers[0] is answer:
            self._answers.popleft()
            return
        answer.turn = turn or self.gate.loop.create_future()
        try:
            await self.gate.wait(answer.turn)
        finally:
            answer.is_gone = True

    async def answer_cut_off(self, answer: Answer | None = None) -> None:
        """
        Wait, while being cancelled, until what was recorded before has had its effects.

        *answer* is the place of what was recorded before that came; else there is a new one.
        """
        if self.gate.over or (answer is not None and answer.has_had_turn):
            return
        if answer is None or answer is AT_ONCE:
            answer = self.line_up()
        answer.is_gone = False
        await self.answer(answer, Undisturbed(lambda: self.gate.over))

    def gets_ahead(self) -> bool:
        """
        Note that somebody goes on past what is held, if anything is.

        At a replay that will have had its effects first. So whatever is done now about a failure,
        or about being cut off, nothing new begins in this invocation.
        """
        if self.gate.held:
            self.is_ahead = self.gate.is_ending = True
        return self.is_ahead

    async def begin(self, step_id: str) -> bool:
        """Wait for a moment in which something new might begin; tell whether it is to."""
        begin = self.gate.loop.create_future()
        self._begins.append((step_id, begin))
        await self.gate.wait(begin)
        return bool(begin.result())

    def refuse(self, error: Exception) -> None:
        """Raise *error* where something new was to begin."""
        for _, begin in self._begins:
            if not begin.done():
                begin.set_exception(error)

    def _go_on(self) -> bool:
        """Let the next one go on, and tell whether there is one."""
        if self.asked.let_next():
            return True
        first = self._memory.first
        if first and self._let_go(first):
            return True
        if not self._memory.is_used_up:
            return False  # what was cut off meanwhile comes after what is recorded, as at a replay
        if self._answer_next():
            return True
        if self._begins:
            begins, self._begins = self._begins, deque()
            return sum(settle(begin) for _, begin in begins) > 0  # each of them, not the first
        return False

    def _answer_next(self) -> bool:
        while self._answers and self._answers[0].is_gone:
            self._answers.popleft()
        if self._answers and (turn := self._answers[0].turn) is not None:
            if turn.cancelled():
                return True  # it is about to say whether it is gone
            answer = self._answers.popleft()
            self.gate.has_raised |= self.gets_ahead() and answer.is_failure
            return settle(answer.turn)
        return False

    def _stuck(self, how: Stuck) -> bool:
        """See to it that nobody can go on; tell whether somebody can now."""
        if how is Stuck.IT_SEEMS and self.gate.held:
            self.gate.decide()
            return False
        if (how is Stuck.FOR_LONG and self._give_up_cut_off()) or self._memory.pass_over():
            return True
        if self._is_to_be_cut_off():
            return False
        return self._answer_next() or self._ends(how)

    def _ends(self, how: Stuck) -> bool:
        """See to it that nobody can go on as it was; tell whether somebody can otherwise."""
        if how in (Stuck.BUT_CUT_OFFS, Stuck.IT_SEEMS):
            return False
        if self._let_out_of_turn():
            return True
        if not self._memory.is_used_up:
            return self._misfits(how)
        if self.gate.held or self._rests(how is Stuck.FOR_LONG):
            self.gate.decide()
        return False

    def _is_to_be_cut_off(self) -> bool:
        """Tell whether somebody is, by a timer, before what is recorded after that can be had."""
        return bool(self._uncut) and not self._memory.is_used_up and self.gate.looking.has_limit

    def _misfits(self, how: Stuck) -> bool:
        """
        Go by what is recorded as far as that can be; tell whether somebody can go on now.

        Who came first to a lock may be another than before, where that took time outside of steps:
        no order can be kept then.
        """
        if self.gate.finds_strangers():
            return True  # it may be them who ask for it
        if how is Stuck.BY_LOCKS and self.gate.was_busy and self._let_out_of_order():
            return True
        asked = next((step_id for step_id, begin in self._begins if not begin.done()), None)
        self._changed(asked, how is Stuck.FOR_LONG)
        return False

    def _let_out_of_order(self) -> bool:
        if any(self._let_go(known) for known in self._memory.queued):
            return True
        for _, begin in self._begins:
            if not begin.done():
                begin.set_result(True)
                return True
        return False

    def _let_out_of_turn(self) -> bool:
        """Let go of one that has no value to wait for; tell whether there is one."""
        asked = [self._memory.lets_go(step_id) for step_id in self.asked.ids]
        return any(known is not None and self._let_go(known) for known in asked)

    def _let_go(self, known: Checkpoint) -> bool:
        """Let *known* answer, if anybody waits for it; tell whether anybody does."""
        if not self.asked.let_go(known.step_id):
            return False
        self._memory.leave(known)
        return True

    def _give_up_cut_off(self) -> bool:
        """
        Let one be run that waits to be cut off, longer than it took before; tell whether any is.

        What cut it off was code outside of steps that goes another way now; unless it was a timer
        that will, soon.
        """
        if self.gate.looking.has_limit:
            return False
        for step_id, (since, again) in self._uncut.items():
            known = self._memory.find(step_id)
            if known is None or again.done():
                continue
            took = (known.ended - known.started) / 1000
            if self.gate.loop.time() - since > took:
                self._memory.cut(known)
                self._memory.take_up_again(known)
                return settle(again)
        return False
