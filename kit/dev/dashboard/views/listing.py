"""Runs as a list shows them, and the filters above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from kit.dev.runs import Summary
from kit.model.run import RunStatus

ON_A_PAGE = 50
"""Runs on a page: enough to look through, few enough to be drawn anew four times a second."""

FILTERS: Mapping[str, tuple[RunStatus, ...]] = {
    "all": (),
    "running": (RunStatus.RUNNING,),
    "sleeping": (RunStatus.SLEEPING,),
    "queued": (RunStatus.QUEUED,),
    "completed": (RunStatus.COMPLETED,),
    "failed": (RunStatus.FAILED,),
    "cancelled": (RunStatus.CANCELLED,),
}
"""The filters by status, in the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is to show: which workflow, which filter, what text, from which place on."""

    workflow: str = ""
    status: str = "all"
    text: str = ""
    cursor: str | None = None

    @property
    def statuses(self) -> tuple[RunStatus, ...]:
        """The statuses the filter lets through; none for all."""
        return FILTERS[self.status]

    @property
    def is_everything(self) -> bool:
        """Whether nothing is filtered and it is the first page."""
        return self == Wanted()

    def query(self, **changed: str | None) -> str:
        """Return the address's query for this, with some of it *changed*; a new page is a first."""
        found = {
            "workflow": self.workflow,
            "status": "" if self.status == "all" else self.status,
            "text": self.text,
            "from": None,
            **changed,
        }
        kept = {key: value for key, value in found.items() if value}
        return f"?{urlencode(kept)}" if kept else "?"


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """Return what an address's *query* asks for; a filter nobody knows is none."""
    status = query.get("status", "all")
    return Wanted(
        query.get("workflow", ""),
        status if status in FILTERS else "all",
        query.get("text", "").strip(),
        query.get("from") or None,
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A run in the list; `short` is as much of its id as tells it from the others."""

    run: Summary
    short: str

    @property
    def took(self) -> int | None:
        """How long it took from its first attempt to its end; None before that."""
        run = self.run
        return None if run.ended is None or run.started is None else run.ended - run.started

    @property
    def due(self) -> int | None:
        """When it goes on, while it waits."""
        waits = self.run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
        return self.run.due if waits else None


def lines_of(runs: Sequence[Summary]) -> tuple[Line, ...]:
    """Return *runs* as lines, with ids cut to eight characters where those tell them apart."""
    return tuple(Line(run, run.id[:8]) for run in runs)
