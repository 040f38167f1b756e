"""
What each address shows: a template, the values in it, and the regions of it that live.

A screen is made in the same way for a browser that asks for the page and for a feed that keeps the
page up to date; so the two cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.dev.dashboard.views.fields import Field, form_of
from kit.dev.dashboard.views.listing import FILTERS, ON_A_PAGE, lines_of, wanted_of
from kit.dev.dashboard.views.names import name_in
from kit.dev.dashboard.views.schemas import MISSING
from kit.dev.dashboard.views.timeline import timeline_of
from kit.dev.runs import Change, Runs, WorkflowInfo
from kit.model.errors import RunNotFoundError, WorkflowNotFoundError
from kit.model.run import Run, RunStatus

Query = Mapping[str, str]
Now = Callable[[], int]
"""Tells the time, in milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Screen:
    """
    A page to be: its `template`, the `values` in it, and its `regions`, each a template of its own.

    `run_id` is the run it shows, if it shows one. `is_moving` says that it changes by the mere
    passing of time.
    """

    template: str
    title: str
    values: Mapping[str, Any]
    regions: tuple[str, ...] = ()
    status: int = 200
    run_id: str | None = None
    is_moving: bool = False

    def concerns(self, change: Change) -> bool:
        """Whether *change* may have changed what the screen shows."""
        if change.is_everything or change.workflows or change.source:
            return True
        return bool(change.runs) and (self.run_id is None or self.run_id in change.runs)


@dataclass(frozen=True, slots=True)
class Screens:
    """All screens, over one source of runs."""

    runs: Runs
    now: Now

    async def of(self, path: str, query: Query) -> Screen | None:
        """
        Return the screen at *path*; None if there is none.

        Raises:
            RunNotFoundError: If the run it would show is not there.
            WorkflowNotFoundError: If the workflow is not.
        """
        if path in _FIXED:
            return await _FIXED[path](self, query)
        for prefix, make in _BY_NAME.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                return await make(self, path.removeprefix(prefix), query)
        return None

    async def listing(self, query: Query, *, dead: bool = False) -> Screen:
        """Return the list of runs; with *dead*, of those that are dead letters."""
        wanted = wanted_of({**query, "status": "failed"} if dead else query)
        page = await self.runs.page(
            workflow=wanted.workflow or None,
            statuses=wanted.statuses,
            text=wanted.text,
            cursor=wanted.cursor,
            limit=ON_A_PAGE,
        )
        workflows = await self.runs.workflows()
        return Screen(
            "runs.html",
            "Dead letters" if dead else "Runs",
            {
                **self._shared("dead-letters" if dead else "runs", workflows),
                "wanted": wanted,
                "filters": tuple(FILTERS),
                "lines": lines_of(page.runs),
                "page": page,
                "is_dead": dead,
                "is_new": not page.runs and wanted.is_everything,
            },
            ("notices", "runs"),
        )

    async def dead_letters(self, query: Query) -> Screen:
        """Return the list of dead letters."""
        return await self.listing(query, dead=True)

    async def run(self, run_id: str, query: Query) -> Screen:
        """Return one run, on its time axis."""
        details = await self.runs.details(run_id)
        if details is None:
            msg = f"no run {run_id!r} here: it may have been deleted"
            raise RunNotFoundError(msg, run_id=run_id)
        now, run = self.now(), details.run
        workflows = await self.runs.workflows()
        chunk, text = query.get("rows", ""), query.get("step", "")
        timeline = timeline_of(details, now, chunk=_number(chunk), text=text)
        waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING) and run.due > now
        return Screen(
            "run.html",
            f"{run.status}: {run.workflow} {run.id[:8]}",
            {
                **self._shared("runs", workflows),
                "run": run,
                "details": details,
                "timeline": timeline,
                "due": run.due if waits else None,
                "is_orphan": self._is_orphan(run, workflows),
                "step_text": text,
                "rows": chunk,
                "note": NOTES.get(query.get("note", ""), ""),
            },
            ("notices", "run-head", "run-values", "timeline", "logs"),
            run_id=run.id,
            is_moving=any(row.is_open and row.kind == "step" for row in timeline.rows),
        )

    async def workflows(self, query: Query) -> Screen:
        """Return all workflows, and the files that are wrong."""
        found = await self.runs.workflows()
        by_trouble = sorted(found, key=lambda info: not info.error)  # what is wrong comes first
        values = {**self._shared("workflows", found), "workflows": by_trouble}
        return Screen("workflows.html", "Workflows", values, ("notices", "workflows"))

    async def workflow(self, name: str, query: Query) -> Screen:
        """Return one workflow, *name* as paths have it, with its form, filled as *again* was."""
        info = await self.info(name_in(name))
        value: Any = MISSING
        if query.get("again"):
            details = await self.runs.details(query["again"])
            value = MISSING if details is None else json.loads(details.run.data)
            value = MISSING if value is None else value
        form = form_of(None if query.get("as") == "json" else info.schema, value)
        return await self.starting(info, form)

    async def starting(
        self, info: WorkflowInfo, form: Field, *, error: str = "", key: str = "", status: int = 200
    ) -> Screen:
        """Return the workflow *info* with *form* as it stands, and what is wrong with it."""
        recent = await self.runs.page(workflow=info.name, limit=5)
        values = {
            **self._shared("workflows", await self.runs.workflows()),
            "info": info,
            "form": form,
            "problem": error,
            "key": key,
            "is_json": form.kind == "json",
            "lines": lines_of(recent.runs),
        }
        regions = ("notices", "workflow", "recent")
        return Screen("workflow.html", info.name, values, regions, status)

    async def info(self, name: str) -> WorkflowInfo:
        """
        Return the workflow called *name*.

        Raises:
            WorkflowNotFoundError: If there is none.
        """
        found = await self.runs.workflows()
        for info in found:
            if info.name == name:
                return info
        known = tuple(info.name for info in found)
        msg = f"no workflow is called {name!r}; there are: {', '.join(known) or 'none'}"
        raise WorkflowNotFoundError(msg, known=known)

    def _is_orphan(self, run: Run, workflows: Sequence[WorkflowInfo]) -> bool:
        """Tell whether *run* waits for a file that defines its workflow."""
        source = self.runs.source
        is_driven_here = source.kind == "local" and source.driver is None
        names = {info.name.lower() for info in workflows if not info.error or info.is_stale}
        return is_driven_here and not run.status.is_final and run.workflow.lower() not in names

    def _shared(self, section: str, workflows: Sequence[WorkflowInfo]) -> dict[str, Any]:
        return {
            "section": section,
            "source": self.runs.source,
            "can": self.runs.capabilities,
            "known": workflows,
            "wrong": tuple(info for info in workflows if info.error),
            "now": self.now(),
        }


NOTES = {
    "started": "Started.",
    "stop": "Asked to stop: it ends at once if it waits, or else at its next step or sleep.",
    "stop-late": "It had ended already.",
    "retry": "It goes on from its last finished step.",
    "restart": "It begins anew.",
    "retry-late": "It has not ended yet, so there is nothing to retry.",
    "delete-late": "It has not ended yet; stop it first.",
}
"""What is said after an action, by the key in the address: no text from an address is shown."""

_FIXED: Mapping[str, Callable[[Screens, Query], Awaitable[Screen]]] = {
    "/": Screens.listing,
    "/dead-letters": Screens.dead_letters,
    "/workflows": Screens.workflows,
}
_BY_NAME: Mapping[str, Callable[[Screens, str, Query], Awaitable[Screen]]] = {
    "/runs/": Screens.run,
    "/workflows/": Screens.workflow,
}


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 7 else None
