"""What is stored of a run between its invocations, as whoever stores it holds it in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kit.model.delivery import Checkpoint, CheckpointKind, Delivery, Sleep
from kit.model.event import Event

UNTIL = '{"until":true}'
"""The text of a sleep that is not over and lasts until a moment, whatever clocks are set to."""


@dataclass(slots=True)
class Record:
    """A run's checkpoints by step id, and its sleeps that are not over: when each is due."""

    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    asleep: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Iterable[Checkpoint]) -> Record:
        """Return the record of what is *stored*, in which a sleep without a number is not over."""
        record = cls()
        for each in stored:
            if each.kind is CheckpointKind.SLEEP and each.sequence is None:
                record.asleep[each.step_id] = each.ended
            else:
                record.checkpoints[each.step_id] = each
        return record

    def delivery(self, event: Event, attempt: int, provider: str = "local") -> Delivery:
        """Return the delivery of *event* with all that is recorded."""
        return Delivery(event, attempt, dict(self.checkpoints), provider, dict(self.asleep))

    def keep(self, fresh: Iterable[Checkpoint]) -> None:
        """Add what an invocation has recorded."""
        for each in fresh:
            self.checkpoints[each.step_id] = each
            if self.asleep:
                self.asleep.pop(each.step_id, None)

    def forget(self, step_ids: Iterable[str]) -> None:
        """Remove what is not to answer any more."""
        for each in step_ids:
            self.checkpoints.pop(each, None)

    def fall_asleep(self, sleeps: Iterable[Sleep], now: int) -> tuple[Checkpoint, ...]:
        """Let *sleeps* be all that the run is in now; return them as they are to be stored."""
        by_id = {each.step_id: each for each in sleeps}
        self.asleep = {step_id: each.due for step_id, each in by_id.items()}
        return tuple(
            Checkpoint(step_id, CheckpointKind.SLEEP, UNTIL if each.until else None, now, each.due)
            for step_id, each in by_id.items()
        )

    def wake(self, now: int, *, fast: bool = False) -> tuple[Checkpoint, ...]:
        """
        End the sleeps that are over, in the order in which they were due, and return them.

        With *fast* the first ones to be due are over, whenever that is.
        """
        if not self.asleep:
            return ()
        if fast:
            now = max(now, min(self.asleep.values()))
        over = sorted((due, step_id) for step_id, due in self.asleep.items() if due <= now)
        number = self._next_number() if over else 0
        ended = tuple(
            Checkpoint(step_id, CheckpointKind.SLEEP, None, due, due, number + place)
            for place, (due, step_id) in enumerate(over)
        )
        self.keep(ended)
        return ended

    def _next_number(self) -> int:
        numbers = (each.sequence for each in self.checkpoints.values())
        used = max((each for each in numbers if each is not None), default=-1) + 1
        return max(used, len(self.checkpoints))
