"""
The events a handler sends: what id each has, and under which it is recorded.

An id is made from the run, the step around it, and what the event says, plus a count among equals:
branches that send in another order at a replay send the same events.
"""

from __future__ import annotations

import json
from functools import cached_property

from kit.model.delivery import CheckpointKind, Delivery
from kit.model.event import Event, derived_id

_PREFIX = "kit:send:"


class Sends:
    """The events one invocation of a run has sent so far."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._run_id = delivery.event.id
        self._counts: dict[tuple[str, str], int] = {}
        self._unsent: dict[tuple[str, str], list[str]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    @cached_property
    def _by_name(self) -> set[str]:
        """Checkpoints of a first edition of the kit, which numbered events by name alone."""
        return {
            step_id
            for step_id, each in self._delivery.checkpoints.items()
            if each.kind is CheckpointKind.SEND and step_id.rpartition(":")[2].isdigit()
        }

    def place(self, event: Event, when: str, outer: str) -> tuple[str, str]:
        """
        Return the id that *event* is to have, and that of its checkpoint.

        *when* is when it may start, as it was asked for; *outer* is the step around it.
        """
        if self._by_name:
            number = self._numbers.get((outer, event.name), 0)
            self._numbers[outer, event.name] = number + 1
            step_id = f"{_PREFIX}{event.name}:{number}"
            if not outer and step_id in self._by_name:
                return derived_id(self._run_id, outer, event.name, str(number)), step_id
        content = _content_of(event, when)
        if self._unsent.get((outer, content)):
            event_id = self._unsent[outer, content].pop(0)
        else:
            count = self._counts.get((outer, content), 0)
            self._counts[outer, content] = count + 1
            event_id = derived_id(self._run_id, outer, "send", content, str(count))
        return event_id, checkpoint_of(event.name, event_id)

    def failed(self, event: Event, when: str, outer: str) -> None:
        """Note that an event did not get through: the next that says the same is that event."""
        self._unsent.setdefault((outer, _content_of(event, when)), []).append(event.id)


def checkpoint_of(name: str, event_id: str) -> str:
    """Return the id of the checkpoint that remembers an event as sent; who looks sees its name."""
    return f"{_PREFIX}{name}:{event_id}"


def cut_off_of(step_id: str, number: int) -> str:
    """Return the id of what remembers that the send with this checkpoint was cut off, again."""
    return f"{step_id}/{number}"


def _content_of(event: Event, when: str) -> str:
    data = json.dumps(json.loads(event.encoded()), sort_keys=True)
    return "\x00".join((event.name, data, when, str(event.priority)))
