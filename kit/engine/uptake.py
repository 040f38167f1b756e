"""Runs that are found on the file: which of them an engine wishes to see end, and its taking up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.engine.clock import Clock
from kit.engine.leases import Leases
from kit.engine.live import ActiveRun
from kit.engine.loop import Loop
from kit.model.errors import WorkflowNotFoundError
from kit.model.run import RunStatus
from kit.model.workflow import Workflow
from kit.store.sqlite.reader import LeftRun

FindWorkflow = Callable[[str], Workflow[..., Any] | None]


@dataclass(slots=True)
class Wishes:
    """The runs that an engine wishes to see end: these, or *everything* there is."""

    ids: set[str] = field(default_factory=set)
    everything: bool = False


class Uptake:
    """
    Puts runs that are found on the agenda of *loop*; with *fast* their waits are skipped. *find* is
    asked for their workflows.
    """

    def __init__(
        self, loop: Loop, find: FindWorkflow, clock: Clock, leases: Leases, *, fast: bool
    ) -> None:
        self.fast = fast
        self._loop = loop
        self._find = find
        self._clock = clock
        self._leases = leases

    def take_up(self, rows: Sequence[LeftRun]) -> set[str]:
        """Execute what was left, as the driver; return what others are executing."""
        living = self._leases.living()
        for row in rows:
            if not self._loop.has(row.run.id) and row.driver not in living:
                self.execute(row, fast=self.fast)
        self._loop.pump()
        return {row.run.id for row in rows if row.driver in living}

    def execute(self, row: LeftRun, *, fast: bool, own: bool = True) -> bool:
        """Put a run on the agenda; False if its workflow is not known, or it is set aside."""
        run = row.run
        if run.id in self._loop.set_aside:
            return False
        workflow = self._find(run.workflow)
        if workflow is None:
            return False
        is_due = run.status is RunStatus.RUNNING or fast
        due = self._clock.now() if is_due else run.due
        live = ActiveRun(run._replace(due=due), workflow, root=row.root, fast=fast, own=own)
        live.is_found = True
        self._loop.take_up(live)
        return True

    def knows(self, row: LeftRun) -> bool:
        """Tell whether a run's workflow is known."""
        return self._find(row.run.workflow) is not None


def are_due(rows: Sequence[LeftRun], now: int) -> set[str]:
    """Return the runs that go on, or should."""
    running = RunStatus.RUNNING
    return {row.run.id for row in rows if row.run.status is running or row.run.due <= now}


def unknown_workflow(row: LeftRun) -> WorkflowNotFoundError:
    """Return the error for who waits for a run that nobody can execute."""
    run = row.run
    msg = f"run {run.id} waits for its workflow {run.workflow!r}, which nobody defines here"
    return WorkflowNotFoundError(msg)
