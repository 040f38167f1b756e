"""
`RemoteRuns`: the runs of a deployed site, over its runs API. The key stays in this process.

The site is asked only while somebody looks, and then every few seconds: it cannot call back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from kit.client.async_workflow_client import AsyncWorkflowClient
from kit.dev.feed import Feed
from kit.dev.runs import Capabilities, Change, Details, Page, Source, Summary, WorkflowInfo
from kit.dev.workflows import LiveWorkflows
from kit.model.annotations import encode_input
from kit.model.errors import RunNotFoundError, WorkflowError
from kit.model.run import RunStatus
from kit.netlify.flow import Flow
from kit.netlify.run_json import details_of, status_of
from kit.netlify.runs import RunsApi
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport, httpx

POLL_SECONDS = 4.0
"""How often an open page has the site asked: each time is an invocation of its function."""

SOON_SECONDS = 0.5
"""When it is asked after something was done; then after twice as long, until it is as before."""

START_SECONDS = 8.0
"""How long whoever starts a run waits for the site to take its event: a page hangs on it."""

ARRIVAL_SECONDS = 3.0
"""How long they wait in all for the site to have something to show of the run."""

_ARRIVES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between looks for a run that was just started."""

_PAGES = 5
"""Pages that are looked through for a text, which the site itself does not look for."""

_CAPABILITIES = Capabilities(
    logs=False, reasons={"logs": "what a deployed workflow logs is in the site's function log"}
)


class RemoteRuns:
    """
    The runs of *site*; *workflows* are those at hand here, for their forms. An async context
    manager.

    Every method raises a `WorkflowError` that says what to do where the site does not answer,
    refuses the key, or has no runs API.
    """

    def __init__(
        self,
        site: Site,
        workflows: LiveWorkflows,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.feed = Feed()
        self._acted = asyncio.Event()
        self._site = site
        self._live = workflows
        self._api = RunsApi(site, retries=0)  # a page is looked at again anyway
        self._transport = AsyncTransport(transport=transport)

    async def __aenter__(self) -> Self:
        self._polling = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.feed.close()
        self._polling.cancel()
        with suppress(asyncio.CancelledError):
            await self._polling
        await self._transport.close()

    @property
    def capabilities(self) -> Capabilities:
        """What can be done there: everything but reading logs."""
        return _CAPABILITIES

    @property
    def source(self) -> Source:
        """Where the runs are."""
        return Source("site", self._site.origin)

    async def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """
        Return runs, newest first; see `Runs.page`.

        *text* is looked for in ids, names and errors of the latest runs only.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            msg = f"{cursor[:100]!r} is no cursor that a page gave"
            raise ValueError(msg)
        found: list[Summary] = []
        for _ in range(_PAGES if text else 1):
            asked = self._api.page(workflow=workflow, statuses=statuses, before=cursor, limit=limit)
            given = await self._transport.carry_out(asked)
            found += [run for run in map(_summary, given["runs"]) if _has(run, text)]
            cursor = None if given["next"] is None else str(given["next"])
            if cursor is None or len(found) >= limit:
                break
        return Page(tuple(found), cursor)

    async def details(self, run_id: str) -> Details | None:
        """Return all that is known of a run, or None."""
        try:
            found = details_of(await self._transport.carry_out(self._api.show(run_id)))
        except RunNotFoundError:
            return None
        return Details(found.run, found.checkpoints, found.attempts)

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        """Start a workflow there and return its run's id; see `Runs.start`."""
        found = self._live.find(workflow)
        if found is not None:
            workflow, data = found.event_name, encode_input(found, data).data
        origin, key = self._site.origin, self._site.api_key
        async with AsyncWorkflowClient(origin, key, timeout=START_SECONDS) as client:
            run_id = await client.send_event(workflow, data, id=id)
        await self._arrived(run_id)
        self._tell(run_id)
        return run_id

    async def stop(self, run_id: str) -> bool:
        """End a run at its next step or sleep; False if it had ended."""
        return await self._told(run_id, self._api.stop(run_id))

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """Run an ended run again; False if it has not ended."""
        return await self._told(run_id, self._api.retry(run_id, from_start=from_start))

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; False if it has not ended."""
        return await self._told(run_id, self._api.delete(run_id))

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return the workflows at hand here, which may be others than those deployed."""
        return self._live.infos()

    def changes(self) -> AsyncIterator[Change]:
        """Yield that all may have changed, every few seconds."""
        return self.feed.changes()

    async def _told(self, run_id: str, flow: Flow[bool]) -> bool:
        is_done = await self._transport.carry_out(flow)
        if is_done:
            self._tell(run_id)
        return is_done

    async def _arrived(self, run_id: str) -> None:
        """Wait a moment for a run's first delivery, so that there is something to show of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVAL_SECONDS):
                for pause in _ARRIVES:
                    with suppress(WorkflowError):
                        if await self.details(run_id) is not None:
                            return
                    await asyncio.sleep(pause)

    def _tell(self, run_id: str) -> None:
        self.feed.tell(run_id)
        self._acted.set()

    async def _poll(self) -> None:
        pause = POLL_SECONDS
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._acted.wait()
            except TimeoutError:
                self.feed.tell_of(Change(is_everything=True))
                pause = min(2 * pause, POLL_SECONDS)
            else:
                self._acted.clear()
                pause = SOON_SECONDS


def _has(run: Summary, text: str) -> bool:
    return text.lower() in f"{run.id} {run.workflow} {run.error or ''}".lower()


def _summary(run: Mapping[str, Any]) -> Summary:
    error = run.get("error")
    return Summary(
        id=run["id"],
        workflow=run["workflow"],
        status=status_of(run),
        created=run["createdAt"],
        started=run.get("startedAt"),
        ended=run.get("endedAt"),
        due=run.get("dueAt"),
        attempt=run.get("attempt", 0),
        priority=run.get("priority", 0),
        error=f"{error['type']}: {error['message']}".partition("\n")[0] if error else None,
    )
