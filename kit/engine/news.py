"""What becomes known of runs that somebody here waits for and that are executed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kit.engine.leases import Leases
from kit.engine.loop import Loop
from kit.engine.uptake import unknown_workflow
from kit.engine.waiting import Waiting
from kit.model.errors import RunNotFoundError, StoreError
from kit.model.run import Run, RunStatus
from kit.store.sqlite.reader import LeftRun, Reader
from kit.store.sqlite.rows import DAMAGED


class News:
    """Looks on the file how awaited runs stand, and tells those who are *waiting*."""

    def __init__(self, reader: Reader, loop: Loop, waiting: Waiting, leases: Leases) -> None:
        self._reader = reader
        self._loop = loop
        self._waiting = waiting
        self._leases = leases

    @property
    def awaited(self) -> set[str]:
        """The runs that somebody waits for and that are not executed here."""
        return self._waiting.run_ids - self._loop.live.keys()

    def tell_ended(self, ids: set[str]) -> None:
        """Tell of those among *ids* that have ended, were deleted, or cannot be read."""
        for run_id in ids & self._waiting.run_ids:
            run = self._reader.find(run_id)
            if run is None:
                msg = f"run {run_id} was deleted"
                self._waiting.fail_run(run_id, RunNotFoundError(msg, run_id=run_id))
            elif run.status.is_final:
                self._waiting.ended(run)
            elif run.status is RunStatus.UNKNOWN:
                self._waiting.fail_run(run_id, damaged(run, self._reader.path))

    def tell_set_aside(self) -> None:
        """Tell of those that nobody can go on with."""
        for run_id in self._waiting.run_ids & self._loop.set_aside.keys():
            self._waiting.fail_run(run_id, self._loop.set_aside[run_id])

    def tell_unknown(self, rows: Sequence[LeftRun]) -> None:
        """Tell of those that nobody can execute."""
        living, waiting = self._leases.living(), self._waiting.run_ids
        for row in rows:
            is_executed = self._loop.has(row.run.id) or row.driver in living
            if row.run.id in waiting and not is_executed:
                self._waiting.fail_run(row.run.id, unknown_workflow(row))


def damaged(run: Run, path: Path) -> StoreError:
    """Return the error for who waits for a run that nobody can read."""
    msg = run.failure.message if run.failure else f"run {run.id} cannot be read"
    return StoreError(msg, path=str(path), code=DAMAGED)
