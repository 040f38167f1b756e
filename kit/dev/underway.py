"""What only who drives the runs knows: which steps are running, and what the latest were given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from kit.dev.arguments import call_text
from kit.dev.runs import BegunStep
from kit.model.progress import Progress, ProgressKind

MOST = 20_000_000
"""Characters kept of what steps were given, of all runs together: the latest."""

_RUN_STARTED, _RUN_ENDED = ProgressKind.RUN_STARTED, ProgressKind.RUN_ENDED
_STARTED = ProgressKind.STEP_STARTED
_DONE = (ProgressKind.STEP_FINISHED, ProgressKind.STEP_FAILED)
_WAITS = (ProgressKind.RUN_SLEEPS, ProgressKind.ATTEMPT_FAILED)


class Underway:
    """Notes what it is told of runs; that is for every step, so it is quick."""

    def __init__(self, *, most: int = MOST) -> None:
        self._begun: dict[str, dict[str, int]] = {}
        self._given: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._size, self._most = 0, most

    def note(self, progress: Progress) -> None:
        """Take note of what has happened in a run."""
        what, run_id = progress.what, progress.run_id
        if what is _STARTED:
            data = progress.data
            self._begun.setdefault(run_id, {})[data["stepId"]] = progress.at
            if "call" in data:
                self._keep(run_id, data["stepId"], data["call"])
        elif what in _DONE:
            begun = self._begun.get(run_id)
            if begun is not None:
                begun.pop(progress.data["stepId"], None)
        elif what is _RUN_STARTED or what is _RUN_ENDED or what in _WAITS:
            self._begun.pop(run_id, None)

    def begun(self, run_id: str) -> tuple[BegunStep, ...]:
        """Return the steps that are running, in the order in which they began."""
        return tuple(BegunStep(step, at) for step, at in self._begun.get(run_id, {}).items())

    def given(self, run_id: str) -> Mapping[str, str]:
        """Return the calls that a run's steps have made, by step id, as far as they are kept."""
        return dict(self._given.get(run_id, {}))

    def forget(self, run_id: str) -> None:
        """Forget what the steps of a run were given."""
        self._size -= sum(map(len, self._given.pop(run_id, {}).values()))

    def _keep(self, run_id: str, step_id: str, call: Any) -> None:
        text = call_text(call.function, call.args, call.kwargs)
        kept = self._given.setdefault(run_id, {})
        self._given.move_to_end(run_id)
        self._size += len(text) - len(kept.get(step_id, ""))
        kept[step_id] = text
        while self._size > self._most:
            self.forget(next(iter(self._given)))
