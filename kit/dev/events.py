"""
Async Workloads' addresses: the router, which takes events, and the management of those taken.

Paths, statuses, headers and bodies are those of version 0.0.97, so that its own client, the kit's
and `curl` cannot tell the difference. What they start, delete and try again are local runs.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kit.dev.access import Access
from kit.dev.local import LocalRuns
from kit.dev.runs import Summary
from kit.model.errors import PayloadError, RunNotFoundError, StoreError, WorkflowNotFoundError
from kit.model.event import Event
from kit.model.run import RunStatus
from kit.netlify.arrivals import arrivals
from kit.netlify.management import EVENTS_PATH, FAILED_EVENTS_PATH
from kit.netlify.router import ROUTER_PATH

Tell = Callable[[str], None]
"""Told what whoever works here should know, one line each."""

DELAYED_MS = 15_000
HIBERNATING_MS = 86_400_000

_NO_CACHE = {"cache-control": "max-age=0,must-revalidate"}
_DELETE_EVENT, _RETRY_EVENT = "awl:delete-events", "awl:retry-failed-events"
_WAITING = (RunStatus.QUEUED, RunStatus.SLEEPING)
_PAGE = 300


class Events:
    """Takes events for *runs* from whoever *access* admits."""

    def __init__(self, runs: LocalRuns, access: Access, tell: Tell) -> None:
        self._runs = runs
        self._access = access
        self._tell = tell

    def routes(self) -> list[BaseRoute]:
        """Return the addresses."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        api = EVENTS_PATH.rpartition("/")[0]
        return [
            Route(ROUTER_PATH, self._router, methods=methods),
            Route(api, self._manage, methods=methods),
            Route(f"{api}/{{rest:path}}", self._manage, methods=methods),
        ]

    async def _router(self, request: Request) -> Response:
        if not self._access.admits(request.headers.get("authorization")):
            return _refusal(401, "invalid API key")
        try:
            events = arrivals(await request.body(), _now())
        except ValueError as error:
            return _refusal(400, str(error))
        if not self._runs.live.names():
            reason = "no workloads configured to use this event"
            return Response(headers={**_NO_CACHE, "x-awl-reason": reason})
        try:
            await asyncio.gather(*map(self._take, events))
        except PayloadError as error:
            return _refusal(400, error.message)
        except StoreError as error:  # whoever works here is told by `LocalRuns`
            return _refusal(503, error.message)
        return Response("ack", headers={**_NO_CACHE, "x-awl-ack": "ack"})

    async def _take(self, event: Event) -> None:
        name = event.name.lower()
        if name in (_DELETE_EVENT, _RETRY_EVENT):
            chosen = event.data if isinstance(event.data, dict) else {}
            await (self._delete(chosen) if name == _DELETE_EVENT else self._retry(chosen))
            return
        try:
            await self._runs.driving.submit(event)
        except WorkflowNotFoundError:
            self._tell(
                f"event {event.name!r} was dropped, as on Netlify: no workflow has this name"
            )

    async def _manage(self, request: Request) -> Response:
        if not self._access.admits(request.headers.get("authorization")):
            return _refusal(401, "invalid API key")
        orders: dict[tuple[str, str], Callable[[dict[str, Any]], Awaitable[None]]] = {
            ("DELETE", EVENTS_PATH): self._delete,
            ("POST", FAILED_EVENTS_PATH): self._retry,
        }
        order = orders.get((request.method, request.url.path))
        if order is None:
            return Response(status_code=204)
        try:
            chosen = json.loads(await request.body())
        except (ValueError, RecursionError):
            chosen = None
        if not isinstance(chosen, dict):
            return _refusal(400, "missing valid JSON body")
        await order(chosen)
        # of the event that carries it out there; here it is done
        result = {"sendStatus": "succeeded", "eventId": str(uuid.uuid4())}
        return JSONResponse({"workloadResult": result}, headers=_NO_CACHE)

    async def _delete(self, chosen: dict[str, Any]) -> None:
        ids, states = _texts(chosen.get("eventIds")), chosen.get("states")
        if not ids and not isinstance(states, list):
            return
        wanted = _texts(states)  # an empty list means every state
        for run in await self._unsettled():
            is_wanted = not wanted or state_of(run, _now()) in wanted
            if is_wanted and (not ids or run.id in ids):
                await self._forget(run)

    async def _forget(self, run: Summary) -> None:
        try:
            if run.status is RunStatus.FAILED:
                await self._runs.delete(run.id)
            else:
                await self._runs.stop(run.id)
        except RunNotFoundError:
            return  # somebody else was faster

    async def _retry(self, chosen: dict[str, Any]) -> None:
        ids = _texts(chosen.get("eventIds"))
        names = {name.lower() for name in _texts(chosen.get("eventNames"))}
        for run in await self._unsettled((RunStatus.FAILED,)):
            is_named = not names or run.workflow.lower() in names
            if is_named and (not ids or run.id in ids):
                try:
                    await self._runs.retry(run.id, from_start=True)
                except (RunNotFoundError, WorkflowNotFoundError) as error:
                    self._tell(f"not tried again: {error.message}")

    async def _unsettled(
        self, statuses: tuple[RunStatus, ...] = (*_WAITING, RunStatus.RUNNING, RunStatus.FAILED)
    ) -> list[Summary]:
        """Return the runs whose events Netlify would still have."""
        found: list[Summary] = []
        cursor = None
        while True:
            page = await self._runs.page(statuses=statuses, cursor=cursor, limit=_PAGE)
            found += page.runs
            cursor = page.cursor
            if cursor is None:
                return found


def state_of(run: Summary, now: int) -> str:
    """Return the state Netlify would say the event of *run* is in."""
    if run.status is RunStatus.FAILED:
        return "dead-lettered"
    if run.status is RunStatus.RUNNING:
        return "processing"
    left = (run.due or 0) - now
    if left >= HIBERNATING_MS:
        return "hibernating"
    return "delayed" if left >= DELAYED_MS else "pending"


def _texts(given: object) -> Collection[str]:
    found = given if isinstance(given, list) else []
    return {each for each in found if isinstance(each, str)}


def _refusal(status: int, reason: str) -> Response:
    plain = reason.encode("ascii", "replace").decode().replace("\n", " ")[:300]
    headers = {**_NO_CACHE, "x-awl-reason": plain, "content-type": "text/plain;charset=UTF-8"}
    return Response(status_code=status, headers=headers)


def _now() -> int:
    return time.time_ns() // 1_000_000
