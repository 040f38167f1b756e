"""
`RemoteRuns`: the runs of a deployed site, over its runs API. The key stays in this process.

The site is asked only while somebody looks, and then every few seconds: it cannot call back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from kit.client.site import AsyncWorkflowClient
from kit.dev.feed import Feed
from kit.dev.runs import Capabilities, Change, Details, Page, Source, Summary, WorkflowInfo
from kit.dev.runs_api import MOST, RUNS_PATH
from kit.dev.workflows import LiveWorkflows
from kit.model.annotations import encode_input
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import NotSupportedError, RunNotFoundError, WorkflowError
from kit.model.event import check_id
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus
from kit.netlify.site import Site
from kit.netlify.transport import httpx
from kit.version import __version__

POLL_SECONDS = 4.0
"""How often an open page has the site asked: each time is an invocation of its function."""

TIMEOUT = 30.0
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
        self._site = site
        self._live = workflows
        agent = {"user-agent": f"netlify-workflow-kit/{__version__}"}
        self._client = httpx.AsyncClient(
            base_url=site.origin,
            headers={**agent, **site.key_header()},
            timeout=TIMEOUT,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        self._polling = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.feed.close()
        self._polling.cancel()
        with suppress(asyncio.CancelledError):
            await self._polling
        await self._client.aclose()

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
        query: dict[str, Any] = {"limit": min(limit, MOST)}
        query |= {"workflow": workflow} if workflow else {}
        query |= {"status": ",".join(statuses)} if statuses else {}
        found: list[Summary] = []
        for _ in range(_PAGES if text else 1):
            given = await self._ask("GET", "", query | ({"before": cursor} if cursor else {}))
            found += [run for run in map(_summary, given["runs"]) if _has(run, text)]
            cursor = None if given["next"] is None else str(given["next"])
            if cursor is None or len(found) >= limit:
                break
        return Page(tuple(found), cursor)

    async def details(self, run_id: str) -> Details | None:
        """Return all that is known of a run, or None."""
        try:
            return details_of(await self._ask("GET", f"/{_checked(run_id)}"))
        except RunNotFoundError:
            return None

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        """Start a workflow there and return its run's id; see `Runs.start`."""
        found = self._live.find(workflow)
        if found is not None:
            workflow, data = found.event_name, encode_input(found, data).data
        async with AsyncWorkflowClient(self._site.origin, self._site.api_key) as client:
            run_id = await client.send_event(workflow, data, id=id)
        self.feed.tell(run_id)
        return run_id

    async def stop(self, run_id: str) -> bool:
        """End a run at its next step or sleep; False if it had ended."""
        known = await self._ask("GET", f"/{_checked(run_id)}/result")
        if RunStatus(known["status"]).is_final:
            return False
        await self._ask("POST", f"/{run_id}/stop")
        self.feed.tell(run_id)
        return True

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """Run an ended run again; False if it has not ended."""
        return await self._unless_unended(
            "POST", run_id, "/retry", content=json.dumps({"fromStart": from_start})
        )

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; False if it has not ended."""
        return await self._unless_unended("DELETE", run_id, "")

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return the workflows at hand here, which may be others than those deployed."""
        return self._live.infos()

    def changes(self) -> AsyncIterator[Change]:
        """Yield that all may have changed, every few seconds."""
        return self.feed.changes()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.feed.tell_of(Change(is_everything=True))

    async def _unless_unended(self, method: str, run_id: str, path: str, **sent: Any) -> bool:
        try:
            await self._ask(method, f"/{_checked(run_id)}{path}", **sent)
        except WorkflowError as error:
            if error.code == "RUN_NOT_ENDED":
                return False
            raise
        self.feed.tell(run_id)
        return True

    async def _ask(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, **sent: Any
    ) -> Any:
        try:
            answer = await self._client.request(method, RUNS_PATH + path, params=query, **sent)
        except httpx.HTTPError as error:
            why = self._site.clean(str(error) or type(error).__name__)
            msg = f"{self._site.origin} did not answer: {why}. Check the address and the network"
            raise WorkflowError(msg, code="SITE_UNREACHABLE", http_status=502) from None
        return self._understood(answer)

    def _understood(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict) or "x-kit-runs" not in answer.headers:
            raise self._no_api(answer.status_code)
        code, message = str(error.get("code")), self._site.clean(str(error.get("message")))
        if code == "RUN_NOT_FOUND":
            raise RunNotFoundError(message, run_id="")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            message += ". Set WORKFLOW_API_KEY to one of the site's AWL_API_KEY values"
        status = answer.status_code if answer.status_code >= 400 else 502
        raise WorkflowError(message, code=code, http_status=status)

    def _no_api(self, status: int) -> NotSupportedError:
        remedy = (
            f"{self._site.origin} has no runs API (it answered {status}). Set `store: blobs` in"
            " kit.yaml, build, and deploy again"
        )
        return NotSupportedError("looking at runs", "netlify", remedy)


def _checked(run_id: str) -> str:
    try:
        return check_id(run_id).lower()
    except ValueError:
        msg = f"no run has the id {run_id[:100]!r}"
        raise RunNotFoundError(msg, run_id=run_id[:100]) from None


def _has(run: Summary, text: str) -> bool:
    return text.lower() in f"{run.id} {run.workflow} {run.error or ''}".lower()


def _summary(run: Mapping[str, Any]) -> Summary:
    error = run.get("error")
    return Summary(
        id=run["id"],
        workflow=run["workflow"],
        status=_status(run["status"]),
        created=run["createdAt"],
        started=run.get("startedAt"),
        ended=run.get("endedAt"),
        due=run.get("dueAt"),
        attempt=run.get("attempt", 0),
        priority=run.get("priority", 0),
        error=f"{error['type']}: {error['message']}".partition("\n")[0] if error else None,
    )


def details_of(run: Mapping[str, Any]) -> Details:
    """Return the run in the JSON of `schemas/run.schema.json`."""
    status = _status(run["status"])
    record = Run(
        id=run["id"],
        workflow=run["workflow"],
        status=status,
        data=json.dumps(run.get("data")),
        attempt=run["attempt"],
        due=run.get("dueAt") or 0,
        priority=run.get("priority", 0),
        created=run["createdAt"],
        started=run.get("startedAt"),
        ended=run.get("endedAt"),
        result=json.dumps(run.get("result")) if status is RunStatus.COMPLETED else None,
        failure=_failure(run["error"]) if run.get("error") else None,
    )
    attempts = tuple(
        Attempt(each["number"], each["endedAt"], _failure(each["error"]), each["retryIn"])
        for each in run["attempts"]
    )
    return Details(record, tuple(map(_checkpoint, run["steps"])), attempts)


def _checkpoint(step: Mapping[str, Any]) -> Checkpoint:
    part = next((name for name in ("value", "error") if name in step), None)
    return Checkpoint(
        step["id"],
        CheckpointKind(step["kind"]),
        None if part is None else json.dumps({part: step[part]}),
        step.get("startedAt") or 0,
        step.get("endedAt") or 0,
    )


def _failure(error: Mapping[str, Any]) -> Failure:
    return Failure(
        error["type"],
        error["message"],
        error.get("traceback", ""),
        error.get("stepId"),
        error.get("code"),
    )


def _status(text: str) -> RunStatus:
    known = text in RunStatus.__members__.values()
    return RunStatus(text) if known else RunStatus.UNKNOWN
