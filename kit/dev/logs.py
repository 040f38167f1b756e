"""What workflows log while they run here: the latest lines of the latest runs, in memory."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kit.dev.runs import LogLine

LINES = 500
"""Lines kept of a run."""

RUNS = 500
"""Runs whose lines are kept."""

LONGEST = 10_000
"""Characters kept of a line."""

MOST = 20_000_000
"""Characters kept of all lines; beyond it, those runs lose theirs that were quiet for longest."""


class LogHandler(logging.Handler):
    """Keeps what is logged through `context.logger`, by run; *tell* is called with the run's id."""

    def __init__(self, tell: Callable[[str], None], *, most: int = MOST) -> None:
        super().__init__(logging.DEBUG)
        self._tell = tell
        self._size, self._most = 0, most
        self._lines: OrderedDict[str, deque[LogLine]] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line; logging calls this, under the handler's lock."""
        run_id = getattr(record, "event_id", None)
        if not isinstance(run_id, str):
            return
        try:
            text = self.format(record)[:LONGEST]
        except Exception:  # noqa: BLE001 - a wrong format string is the user's, and told as such
            self.handleError(record)
            return
        lines = self._lines.setdefault(run_id, deque())
        self._lines.move_to_end(run_id)
        lines.append(LogLine(int(record.created * 1000), record.levelname, text))
        self._size += len(text)
        if len(lines) > LINES:
            self._size -= len(lines.popleft().text)
        while len(self._lines) > RUNS or (self._size > self._most and len(self._lines) > 1):
            _, dropped = self._lines.popitem(last=False)
            self._size -= sum(len(line.text) for line in dropped)
        self._tell(run_id)

    def of(self, run_id: str) -> tuple[LogLine, ...]:
        """Return the lines kept of a run, oldest first."""
        with self.lock or _nothing():
            return tuple(self._lines.get(run_id, ()))


@contextmanager
def kept(keeper: LogHandler) -> Iterator[None]:
    """Have *keeper* hear what workflows log, from DEBUG up."""
    workflows = logging.getLogger("kit.workflow")
    level = workflows.level
    workflows.setLevel(logging.DEBUG)
    workflows.addHandler(keeper)
    try:
        yield
    finally:
        workflows.removeHandler(keeper)
        workflows.setLevel(level)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
