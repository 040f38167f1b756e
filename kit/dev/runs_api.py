"""
The runs API of a deployed site, `kit-runs`, over the runs here: the same paths and the same JSON.

    GET    …/kit-runs               a page of runs: ?workflow= status= since= before= limit=
    GET    …/kit-runs/<id>          a run with its steps and failed attempts
    GET    …/kit-runs/<id>/result   its status, and its result or error
    POST   …/kit-runs/<id>/stop     ends it: at once if it waits
    POST   …/kit-runs/<id>/retry    begins an ended one again: {"fromStart": true}?
    DELETE …/kit-runs/<id>          deletes an ended one
    POST   …/kit-runs/try-store     tries the store there; here it says that there is none to try

What is wrong is JSON as well: {"error": {"code", "message"}}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kit.dev.access import Access
from kit.dev.local import LocalRuns
from kit.model.errors import RunNotFoundError, WorkflowError
from kit.model.run import Run, RunStatus
from kit.store.json import failure_to_json, run_to_json
from kit.store.sqlite.listing import Listed, Wanted

RUNS_PATH = "/.netlify/functions/kit-runs"
API_VERSION = "1"
LIMIT, MOST = 50, 100
"""Runs on a page, if nobody says, and at all."""

_LARGEST_BODY = 10_000
_TRIAL = "try-store"
_KNOWN = ("workflow", "status", "since", "before", "limit")
_STATUSES = tuple(status.value for status in RunStatus if status is not RunStatus.UNKNOWN)
_NUMBER = re.compile(r"[0-9]{1,15}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HEADERS = {"cache-control": "no-store", "x-kit-runs": API_VERSION}


class Refusal(Exception):
    """Something that the caller is to be told."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


Answer = tuple[int, Any]


class RunsApi:
    """Answers for *runs* to whoever *access* admits."""

    def __init__(self, runs: LocalRuns, access: Access) -> None:
        self._runs = runs
        self._access = access
        self._actions: dict[str, tuple[str, Callable[[Request, str], Awaitable[Answer]]]] = {
            "result": ("GET", self._result),
            "stop": ("POST", self._stop),
            "retry": ("POST", self._retry),
            "signal": ("POST", self._signal),
        }

    def routes(self) -> list[BaseRoute]:
        """Return the addresses."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [
            Route(RUNS_PATH, self._answer, methods=methods),
            Route(f"{RUNS_PATH}/{{rest:path}}", self._answer, methods=methods),
        ]

    async def _answer(self, request: Request) -> Response:
        try:
            status, body = await self._act(request)
        except Refusal as error:
            status, body = error.status, _error(error.code, error.message)
        except RunNotFoundError as error:
            status, body = 404, _error("RUN_NOT_FOUND", error.message)
        except WorkflowError as error:
            status, body = error.http_status, _error(error.code, error.message)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return Response(text, status, _HEADERS, "application/json")

    async def _act(self, request: Request) -> Answer:
        if not self._access.admits(request.headers.get("authorization")):
            why = "the key is missing or wrong: Authorization: Bearer <WORKFLOW_API_KEY>"
            raise Refusal(401, "UNAUTHORIZED", why)
        rest = request.url.path.removeprefix(RUNS_PATH).split("/")
        run_id, action, *more = [*filter(None, rest), "", ""]
        if not run_id:
            _only(request, "GET")
            return await self._list(request)
        if run_id == _TRIAL and not action:
            _only(request, "POST")
            why = "kit dev keeps its runs in SQLite; only a deployed site has a store to be tried"
            raise Refusal(501, "NOT_SUPPORTED_STORE", why)
        if not _ID.fullmatch(run_id.lower()):
            raise Refusal(400, "INVALID_ID", "the id of a run is a version-4 UUID")
        if any(more) or (action and action not in self._actions):
            raise Refusal(404, "NOT_FOUND", "there is nothing at this path")
        if action:
            method, act = self._actions[action]
            _only(request, method)
            return await act(request, run_id.lower())
        _only(request, "GET", "DELETE")
        shown = self._delete if request.method == "DELETE" else self._show
        return await shown(run_id.lower())

    async def _list(self, request: Request) -> Answer:
        wanted, limit = _asked(request)
        found, following = await self._runs.listed(wanted, limit)
        return 200, {"runs": [_line(run) for run in found], "next": following}

    async def _show(self, run_id: str) -> Answer:
        found = await self._runs.driving.get_details(run_id)
        return 200, run_to_json(found.run, found.checkpoints, found.attempts)

    async def _result(self, request: Request, run_id: str) -> Answer:
        return 200, await self._result_json(run_id)

    async def _stop(self, request: Request, run_id: str) -> Answer:
        await self._runs.stop(run_id)
        return 200, await self._result_json(run_id)

    async def _retry(self, request: Request, run_id: str) -> Answer:
        from_start = (await _body(request)).get("fromStart", False)
        if not isinstance(from_start, bool):
            raise Refusal(400, "INVALID_BODY", "fromStart is true or false")
        if not await self._runs.retry(run_id, from_start=from_start):
            raise await self._unended(run_id, "only an ended one can begin again")
        return 202, await self._result_json(run_id)

    async def _signal(self, request: Request, run_id: str) -> Answer:
        raise Refusal(501, "NOT_SUPPORTED_SIGNAL", "signals are not supported yet")

    async def _delete(self, run_id: str) -> Answer:
        if not await self._runs.delete(run_id):
            raise await self._unended(run_id, "stop it first")
        return 200, {"deleted": [run_id]}

    async def _unended(self, run_id: str, advice: str) -> Refusal:
        run = (await self._runs.driving.get_details(run_id)).run
        return Refusal(409, "RUN_NOT_ENDED", f"run {run_id} is {run.status}; {advice}")

    async def _result_json(self, run_id: str) -> dict[str, Any]:
        return _result_of((await self._runs.driving.get_details(run_id)).run)


def _result_of(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "result": None if run.result is None else json.loads(run.result),
        "error": None if run.failure is None else failure_to_json(run.failure),
    }


def _line(run: Listed) -> dict[str, Any]:
    waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "attempt": run.attempt,
        "createdAt": run.created,
        "startedAt": run.started,
        "endedAt": run.ended,
        "dueAt": run.due if waits else None,
        "priority": run.priority,
        "error": None if run.failure is None else failure_to_json(run.failure),
    }


def _asked(request: Request) -> tuple[Wanted, int]:
    query = request.query_params
    unknown = next((name for name in query if name not in _KNOWN), None)
    if unknown is not None:
        msg = f"{json.dumps(unknown[:40])} is none of {', '.join(_KNOWN)}"
        raise Refusal(400, "INVALID_QUERY", msg)
    statuses = [each for given in query.getlist("status") for each in given.split(",") if each]
    if any(each not in _STATUSES for each in statuses):
        raise Refusal(400, "INVALID_QUERY", f"status is one of {', '.join(_STATUSES)}")
    wanted = Wanted(
        query.get("workflow"),
        tuple(map(RunStatus, statuses)),
        since=_number(query.get("since"), "since"),
        before=_number(query.get("before"), "before"),
    )
    return wanted, _number(query.get("limit"), "limit", 1, MOST) or LIMIT


def _number(text: str | None, name: str, least: int = 0, most: int | None = None) -> int | None:
    if text is None:
        return None
    value = int(text) if _NUMBER.fullmatch(text) else -1
    if value >= least and (most is None or value <= most):
        return value
    bound = "in ms since the epoch" if most is None else f"from {least} to {most}"
    raise Refusal(400, "INVALID_QUERY", f"{name} is a whole number {bound}")


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        msg = f"this path takes {' and '.join(methods)}"
        raise Refusal(405, "METHOD_NOT_ALLOWED", msg)


async def _body(request: Request) -> dict[str, Any]:
    text = await request.body()
    if len(text) > _LARGEST_BODY:
        raise Refusal(413, "BODY_TOO_LARGE", "the body is too large")
    if not text.strip():
        return {}
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "INVALID_BODY", "the body is to be a JSON object, or nothing")
    return body


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
