"""What other processes make of runs, told as if they were executed here: as the file has it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from kit.engine.invoking import Watch
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import StoreError
from kit.model.progress import Progress, ProgressKind
from kit.model.run import Attempt, Run, RunStatus
from kit.store.sqlite.reader import Reader

MOST = 50
"""Runs that are followed at a time: nobody reads more."""


@dataclass(slots=True)
class _Told:
    """What has been told of a run."""

    attempt: int = -1
    attempts: int = 0
    due: int = 0
    steps: set[str] = field(default_factory=set)
    has_ended: bool = False


class Following:
    """
    Tells *observe* what has changed in runs since the last look, step by step.

    Steps are told when they are over: the file does not know of them before.
    """

    def __init__(self, reader: Reader, observe: Watch) -> None:
        self._reader = reader
        self._observe = observe
        self._told: dict[str, _Told] = {}

    def look(self, run_ids: Collection[str]) -> None:
        """Look at these runs, and go on with those that were looked at before."""
        for run_id in run_ids:
            if len(self._told) < MOST:
                self._told.setdefault(run_id, _Told())
        for run_id, told in list(self._told.items()):
            if not told.has_ended:
                self._look(run_id, told)

    def _look(self, run_id: str, told: _Told) -> None:
        run = self._reader.find(run_id)
        if run is None or run.started is None or run.status is RunStatus.UNKNOWN:
            return
        try:
            steps = self._reader.checkpoints(run_id).values()
            attempts = self._reader.attempts(run_id)
        except StoreError:
            return  # whoever waits for it is told
        if told.attempt < 0:
            self._begins(run, told)
        for each in steps:
            self._step(run, each, told)
        for attempt in attempts[told.attempts :]:
            self._failed(run, attempt)
        told.attempts = len(attempts)
        self._stands(run, told)

    def _begins(self, run: Run, told: _Told) -> None:
        told.attempt = run.attempt
        self._tell(run, ProgressKind.RUN_STARTED, run.started or 0, attempt=run.attempt)

    def _step(self, run: Run, each: Checkpoint, told: _Told) -> None:
        asleep = each.kind is CheckpointKind.SLEEP and each.sequence is None
        if each.step_id in told.steps:
            return
        told.steps.add(each.step_id)
        if asleep:
            self._tell(run, ProgressKind.SLEPT, each.started, stepId=each.step_id)
        elif each.kind is CheckpointKind.SEND:
            name, _, event_id = each.step_id.removeprefix("kit:send:").rpartition(":")
            self._tell(run, ProgressKind.EVENT_SENT, each.ended, name=name, eventId=event_id)
            self._told.setdefault(event_id, _Told())
        elif each.kind is CheckpointKind.STEP:
            self._tell(run, ProgressKind.STEP_STARTED, each.started, stepId=each.step_id)
            self._ended(run, each)

    def _ended(self, run: Run, each: Checkpoint) -> None:
        error = json.loads(each.text or "{}").get("error")
        if error is None:
            self._tell(run, ProgressKind.STEP_FINISHED, each.ended, stepId=each.step_id)
            return
        why = {"error": str(error.get("message", "")), "type": str(error.get("type", ""))}
        self._tell(run, ProgressKind.STEP_FAILED, each.ended, stepId=each.step_id, **why)

    def _failed(self, run: Run, attempt: Attempt) -> None:
        facts = {"error": attempt.failure.message, "retryIn": attempt.retry_in}
        kind = ProgressKind.ATTEMPT_FAILED
        self._tell(run, kind, attempt.ended, attempt=attempt.number, **facts)

    def _stands(self, run: Run, told: _Told) -> None:
        if run.status.is_final:
            told.has_ended = True
            self._tell(run, ProgressKind.RUN_ENDED, run.ended or 0, status=run.status.value)
        elif run.status is RunStatus.SLEEPING and run.due != told.due:
            told.due = run.due
            asleep = max(0, run.due - self._slept_since(run))
            self._tell(run, ProgressKind.RUN_SLEEPS, run.due, dueAt=run.due, asleep=asleep)
        elif run.status is RunStatus.RUNNING and (told.due or run.attempt > told.attempt):
            told.due, told.attempt = 0, run.attempt
            self._tell(run, ProgressKind.RUN_STARTED, run.started or 0, attempt=run.attempt)

    def _slept_since(self, run: Run) -> int:
        sleeps = self._reader.checkpoints(run.id, check=False).values()
        return max((each.started for each in sleeps if each.sequence is None), default=run.due)

    def _tell(self, run: Run, what: ProgressKind, at: int, **data: Any) -> None:
        self._observe(Progress(what, run.id, run.workflow, at, data))
