"""
How a handler's events are sent: each once, however often the handler is run.

What is sent is recorded under the event's id. A send that is cut off is recorded as well, beside
that, as it may be sent again: at a replay it waits to be cut off again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

from kit.execution.answer import Answer
from kit.execution.asked import settle
from kit.execution.forgetting import number_of
from kit.execution.memory import Memory
from kit.execution.runner import Runner
from kit.execution.sends import Sends, checkpoint_of, cut_off_of
from kit.execution.turns import Turns
from kit.model.delivery import CheckpointKind, Delivery
from kit.model.event import Event
from kit.model.progress import ProgressKind

Send = Callable[[Event], Awaitable[None]]


class Sending:
    """The sends of one invocation, through *send*; *may_begin* returns when a new one may begin."""

    def __init__(
        self,
        delivery: Delivery,
        memory: Memory,
        turns: Turns,
        runner: Runner,
        send: Send | None,
        *,
        may_begin: Callable[[str], Awaitable[None]],
        now: Callable[[], int],
    ) -> None:
        self._sends = Sends(delivery)
        self._asked: Counter[str] = Counter()  # how often each was, by the id of its checkpoint
        self._lines: dict[str, list[Answer]] = {}  # of each, who sends it, and waits for that
        self._memory, self._turns, self._runner = memory, turns, runner
        self._send, self._may_begin, self._now = send, may_begin, now

    async def through(self, event: Event, when: str, outer: str | None, *, keeps_id: bool) -> Event:
        """Send *event*, unless that is recorded, and return it with the id that it has."""
        if keeps_id:
            step_id = checkpoint_of(event.name, event.id)
        else:
            event_id, step_id = self._sends.place(event, when, outer or "")
            event = replace(event, id=event_id)
        try:
            if outer is not None:
                await self._send_now(event)
            else:
                await self._send_once(event, step_id)
        except BaseException:
            if not keeps_id:
                self._sends.failed(event, when, outer or "")
            raise
        return event

    async def _send_once(self, event: Event, step_id: str) -> None:
        """Send *event* unless it has been, once this was cut off if it was before."""
        cut_id = cut_off_of(step_id, self._asked[step_id])
        self._asked[step_id] += 1
        if not await self._has_sent(step_id, cut_id):
            started = self._now()
            try:
                await self._send_new(event, step_id)
            except asyncio.CancelledError as error:
                self._runner.cut_off(cut_id, error, started)
                await self._turns.answer_cut_off()
                raise

    async def _has_sent(self, step_id: str, cut_id: str) -> bool:
        """Tell whether an earlier invocation has sent this, once it was cut off as before."""
        sent, cut = self._memory.find(step_id), self._memory.ask_for_send(cut_id)
        if cut is not None:
            if sent is not None and number_of(sent) < number_of(cut):
                self._turns.asked.let_pass(step_id)  # it may have been cut off just after that
            await self._turns.of(cut)
        known = self._memory.ask_for_send(step_id)
        return known is not None and step_id not in self._lines and await self._turns.of(known)

    async def _send_new(self, event: Event, step_id: str) -> None:
        """Send *event*, and go on with all who wait for that: each in its turn."""
        line = self._lines.setdefault(step_id, [])
        mine = Answer()
        if self._memory.find(step_id) is not None:  # it has been sent, and they are about to go on
            self._turns.line_up(mine, behind=line[-1])
        line.append(mine)
        try:
            while line[0] is not mine:
                await self._turns.answer(mine)
                if self._memory.find(step_id) is not None:
                    return
            await self._may_begin(f"event {event.name}")
            await self._send_now(event)
            self._runner.tell(ProgressKind.EVENT_SENT, name=event.name, eventId=event.id)
            self._note_sent(event, step_id)
            await self._turns.answer(mine)
        finally:
            self._leave_line(step_id, mine)

    def _leave_line(self, step_id: str, mine: Answer) -> None:
        line = self._lines[step_id]
        line.remove(mine)
        if not line:
            del self._lines[step_id]
        elif self._memory.find(step_id) is None:
            settle(line[0].turn)  # it is the next to try

    def _note_sent(self, event: Event, step_id: str) -> None:
        at = self._now()
        text = json.dumps({"value": event.name})  # for who looks at the run; not read again
        sent = self._memory.record(step_id, CheckpointKind.SEND, text, at, at)
        self._memory.leave(sent)  # it may be asked for again
        for each in self._lines[step_id]:
            self._turns.line_up(each)

    async def _send_now(self, event: Event) -> None:
        if self._send is None:
            msg = f"event {event.name!r} cannot be sent: nothing here sends events"
            raise RuntimeError(msg)
        gate = self._turns.gate
        branch = gate.enter()
        was = gate.opens(branch)
        try:
            await self._send(event)
        finally:
            gate.closes(branch, was)
