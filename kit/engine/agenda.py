"""Which run goes on next: those that wait for a moment, and those whose moment has come."""

from __future__ import annotations

from heapq import heappop, heappush


class Agenda:
    """
    Runs by the moment they are due; once due, by priority and then by order of arrival.

    Taking an entry off again is done by the engine, which knows whether an entry still counts.
    """

    def __init__(self) -> None:
        self._later: list[tuple[int, int, int, str]] = []
        self._ready: list[tuple[int, int, str]] = []
        self._count = 0

    def add(self, run_id: str, *, due: int, priority: int, now: int) -> None:
        """Put a run on the agenda."""
        self._count += 1
        if due <= now:
            heappush(self._ready, (-priority, self._count, run_id))
        else:
            heappush(self._later, (due, -priority, self._count, run_id))

    def ripen(self, now: int) -> None:
        """Take note of what has become due."""
        while self._later and self._later[0][0] <= now:
            _, priority, count, run_id = heappop(self._later)
            heappush(self._ready, (priority, count, run_id))

    def take(self) -> str | None:
        """Take the run that goes on next, or None if none is known to be due."""
        return heappop(self._ready)[2] if self._ready else None

    @property
    def next_due(self) -> int | None:
        """When the next run is due that is not known to be."""
        return self._later[0][0] if self._later else None

    @property
    def has_ready(self) -> bool:
        """Whether a run is known to be due."""
        return bool(self._ready)
