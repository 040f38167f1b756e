"""Runs that nobody has run: enough of every kind to draw, and to be asked to do something."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kit.dev.feed import Feed
from kit.dev.runs import (
    Capabilities,
    Change,
    Details,
    Page,
    Source,
    Summary,
    WorkflowInfo,
)
from kit.model.errors import PayloadError, RunNotFoundError
from kit.model.run import RunStatus

from .sample_workflows import BROKEN as BROKEN
from .sample_workflows import WORKFLOWS
from .samples import (
    EVERY as EVERY,
)
from .samples import (
    HOSTILE as HOSTILE,
)
from .samples import (
    NOW as NOW,
)
from .samples import (
    cancelled as cancelled,
)
from .samples import (
    completed as completed,
)
from .samples import (
    envelope as envelope,
)
from .samples import (
    failed as failed,
)
from .samples import (
    large as large,
)
from .samples import (
    long as long,
)
from .samples import (
    queued as queued,
)
from .samples import (
    run_id as run_id,
)
from .samples import (
    running as running,
)
from .samples import (
    sleeping as sleeping,
)


def summary_of(details: Details) -> Summary:
    run = details.run
    waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return Summary(
        run.id,
        run.workflow,
        run.status,
        run.created,
        run.started,
        run.ended,
        run.due if waits else None,
        run.attempt,
        run.priority,
        run.data[:200],
        f"{run.failure.type}: {run.failure.message}" if run.failure else None,
        run.key,
    )


def many(count: int) -> list[Details]:
    """Return *count* runs, newest first, of all kinds."""
    made = []
    for number in range(count):
        found = EVERY[number % 4](number + 1) if number % 11 else completed(number + 1)
        shift = number * 47_000
        ended = None if found.run.ended is None else found.run.ended - shift
        run = found.run._replace(
            created=NOW - 3_000 - shift,
            ended=ended,
            started=(found.run.started or 0) - shift,
        )
        made.append(replace(found, run=run))
    return made


@dataclass
class FakeRuns:
    """A source of runs kept in a dictionary; what is asked of it is written down in `asked`."""

    kept: dict[str, Details] = field(default_factory=dict)
    infos: Sequence[WorkflowInfo] = WORKFLOWS
    capabilities: Capabilities = field(default_factory=Capabilities)
    source: Source = field(default_factory=lambda: Source("local", ".kit/runs.db"))
    asked: list[tuple[str, Any]] = field(default_factory=list)
    refuses: PayloadError | None = None
    feed: Feed = field(default_factory=lambda: Feed(interval=0))
    pages: int = 0

    def keep(self, *details: Details) -> None:
        """Keep these runs, and tell of it."""
        for each in details:
            self.kept[each.run.id] = each
        self.feed.tell_of(Change(frozenset(each.run.id for each in details)))

    async def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        self.pages += 1
        runs = sorted((each.run for each in self.kept.values()), key=lambda run: -run.created)
        fitting = [
            run
            for run in runs
            if (not workflow or run.workflow == workflow)
            and (not statuses or run.status in statuses)
            and text in f"{run.id} {run.workflow} {run.data} {run.result}"
        ]
        first = int(cursor or 0)
        shown = tuple(summary_of(self.kept[run.id]) for run in fitting[first : first + limit])
        following = str(first + limit) if first + limit < len(fitting) else None
        return Page(shown, following, len(fitting))

    async def details(self, run_id: str) -> Details | None:
        return self.kept.get(run_id)

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(("start", (workflow, data, id)))
        new = queued(len(self.kept) + 100).run._replace(workflow=workflow, data=json.dumps(data))
        self.keep(Details(new))
        return new.id

    async def stop(self, run_id: str) -> bool:
        return self._ask("stop", run_id)

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        return self._ask("restart" if from_start else "retry", run_id)

    async def delete(self, run_id: str) -> bool:
        return self._ask("delete", run_id)

    def _ask(self, what: str, run_id: str) -> bool:
        if run_id not in self.kept:
            msg = f"no run {run_id!r}"
            raise RunNotFoundError(msg, run_id=run_id)
        self.asked.append((what, run_id))
        is_final = self.kept[run_id].run.status.is_final
        return not is_final if what == "stop" else is_final

    async def workflows(self) -> Sequence[WorkflowInfo]:
        return self.infos

    def changes(self) -> AsyncIterator[Change]:
        return self.feed.changes()
