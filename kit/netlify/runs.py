"""
The runs API of a site: what can be asked of its runs and done with them, as flows.

A site has it if one of its workflows is deployed with `store: blobs` (docs/runs-api.md). Each of
its answers has the header `x-kit-runs`; an answer without it is Netlify's, or a page's.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from kit.model.errors import NotSupportedError, RunNotFoundError, WorkflowError
from kit.model.event import check_id
from kit.model.run import RunStatus
from kit.netlify.flow import Flow, HttpRequest, Pause, probe_flow
from kit.netlify.responses import WORTH_ANOTHER_TRY, NoResponse, Response, meaning_of
from kit.netlify.run_json import check_page, check_result, check_run, status_of
from kit.netlify.site import Site
from kit.version import __version__

RUNS_PATH = "/.netlify/functions/kit-runs"
VERSION_HEADER = "x-kit-runs"
VERSION = "1"
"""The version of the API that this client was made for."""

MOST = 100
"""Runs on a page at most."""

RETRIES = 2
"""How often a question is asked again when a connection fails or the site is busy."""

_REFUSED = (401, 403, 429)
_Method = Literal["GET", "POST", "DELETE"]


def _anything(found: Mapping[str, Any]) -> None:
    """Take whatever was answered: nothing of it is used."""


@dataclass(frozen=True, slots=True)
class RunsApi:
    """
    The runs API of *site*, as flows; each returns the JSON that was answered.

    Only questions are asked again, *retries* times: an order may have arrived.

    All raise `NotSupportedError` if the site has no runs API, `RunNotFoundError` if there is no
    such run, and `WorkflowError` with the API's own code, or `SITE_UNREACHABLE`, for all else.
    """

    site: Site
    retries: int = RETRIES

    def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> Flow[dict[str, Any]]:
        """Return a page of runs, newest first, as in `schemas/runs.schema.json`."""
        query: dict[str, Any] = {"limit": min(limit, MOST)}
        query |= {"workflow": workflow} if workflow else {}
        query |= {"status": ",".join(statuses)} if statuses else {}
        query |= {"before": before} if before else {}
        known = None if before is None else int(before)
        check = functools.partial(check_page, before=known)
        return self._ask("GET", f"?{urlencode(query)}", "listing runs", check)

    def latest(
        self, *, workflow: str | None = None, statuses: Sequence[RunStatus] = (), limit: int = 50
    ) -> Flow[list[dict[str, Any]]]:
        """Return the latest *limit* runs, from as many pages as that takes."""
        found: list[dict[str, Any]] = []
        before: str | None = None
        while len(found) < limit:
            page = yield from self.page(
                workflow=workflow, statuses=statuses, before=before, limit=limit - len(found)
            )
            found += page["runs"]
            if page["next"] is None:
                break
            before = str(page["next"])
        return found[:limit]

    def show(self, run_id: str) -> Flow[dict[str, Any]]:
        """Return a run with its steps and attempts, as in `schemas/run.schema.json`."""
        return self._ask("GET", f"/{checked(run_id)}", "details", check_run)

    def known(self, run_id: str) -> Flow[dict[str, Any]]:
        """Return the same, for whoever wants to know whether an id has started a run."""
        return self._ask("GET", f"/{checked(run_id)}", "on_conflict", check_run)

    def result(self, run_id: str) -> Flow[dict[str, Any]]:
        """Return a run's `id`, `workflow`, `status`, `result` and `error`."""
        return self._ask("GET", f"/{checked(run_id)}/result", "result", check_result)

    def stop(self, run_id: str) -> Flow[bool]:
        """End a run: at once if it waits, else at its next step; False if it had ended."""
        known = yield from self._ask("GET", f"/{checked(run_id)}/result", "stop", check_result)
        if status_of(known).is_final:
            return False
        yield from self._ask("POST", f"/{checked(run_id)}/stop", "stop")
        return True

    def retry(self, run_id: str, *, from_start: bool = False) -> Flow[bool]:
        """Run an ended run again; False if it has not ended."""
        content = json.dumps({"fromStart": from_start}).encode()
        asking = self._ask("POST", f"/{checked(run_id)}/retry", "retry", content=content)
        return _unless_unended(asking)

    def delete(self, run_id: str) -> Flow[bool]:
        """Delete an ended run; False if it has not ended."""
        return _unless_unended(self._ask("DELETE", f"/{checked(run_id)}", "delete"))

    def try_store(self) -> Flow[dict[str, Any]]:
        """
        Have the site try whether its store keeps to conditional writes, on keys of its own.

        Returns `verdict` (`kept`, `broken`, `undecided`), `checks` with `name`, `ok` and `why`,
        `writers`, and `took` in milliseconds.
        """
        return self._ask("POST", "/try-store", "trying the store")

    def probe(self) -> HttpRequest:
        """Return a request that asks for one run, to see what answers it."""
        return self._request("GET", "?limit=1", b"")

    def _ask(
        self,
        method: _Method,
        path: str,
        capability: str,
        check: Callable[[Mapping[str, Any]], None] = _anything,
        content: bytes = b"",
    ) -> Flow[dict[str, Any]]:
        request, tries = self._request(method, path, content), 0
        while True:
            response = yield from probe_flow(request)
            if method != "GET" or tries == self.retries or not _is_busy(response):
                run_id = path[1:].partition("/")[0] if path.startswith("/") else ""
                found = understood(response, self.site, capability, run_id=run_id)
                _check(found, check, self.site, response)
                return found
            tries += 1
            yield Pause(0.1 * 2.0**tries)

    def _request(self, method: _Method, path: str, content: bytes) -> HttpRequest:
        headers = {"accept-encoding": "identity"}
        if content:
            headers["content-type"] = "application/json"
        url = f"{self.site.origin}{RUNS_PATH}{path}"
        return HttpRequest(method, url, headers, content, is_whole=True, key=self.site.api_key)


def _check(
    found: Mapping[str, Any],
    check: Callable[[Mapping[str, Any]], None],
    site: Site,
    response: Response | NoResponse,
) -> None:
    try:
        check(found)
    except ValueError as error:
        raise _unreadable(site, response, f"what this version cannot read ({error})") from None


def read_page(found: Mapping[str, Any], site: Site, response: Response) -> None:
    """Check that *found*, which *response* holds, is a page of runs; raises as `RunsApi` says."""
    _check(found, functools.partial(check_page, before=None), site, response)


def _unreadable(site: Site, response: Response | NoResponse, what: str) -> WorkflowError:
    """Return the error about an answer that is none of the API's as it is known here."""
    spoken = site.clean(response.headers[VERSION_HEADER]) if isinstance(response, Response) else ""
    advice = f"deploy the site again, built with this version of the kit, {__version__}"
    if spoken != VERSION:
        speaks = f"it speaks version {spoken} of the API, and version {VERSION} is spoken here"
        advice = f"{speaks}: {advice}, or install the kit it was built with"
    msg = f"the runs API of {site.origin} answered {what}; {advice}"
    return WorkflowError(msg, code="SITE_ANSWER", http_status=502)


def understood(
    response: Response | NoResponse, site: Site, capability: str, *, run_id: str = ""
) -> dict[str, Any]:
    """Return the JSON the runs API answered; raises as `RunsApi` says."""
    if isinstance(response, NoResponse):
        msg = f"{site.origin} did not answer: {site.clean(response.why)}"
        raise WorkflowError(msg, code="SITE_UNREACHABLE", http_status=502)
    body = _json_of(response)
    if VERSION_HEADER not in response.headers:
        raise _not_the_api(response, site, capability)
    if 200 <= response.status < 300 and isinstance(body, dict):
        return body
    raise _told(response, body, site, run_id)


def _told(response: Response, body: Any, site: Site, run_id: str) -> WorkflowError:
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    code, said = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(said, str) or response.status < 400:
        if response.status in _REFUSED or response.status >= 500:
            return _refused(response, site)
        return _unreadable(site, response, f"{response.status} without a reason")
    message = site.clean(said)
    if code == "RUN_NOT_FOUND":
        advice = "One that was just sent is there from its first delivery on"
        return RunNotFoundError(f"{message} at {site.origin}. {advice}", run_id=run_id)
    if response.status == 401:
        message += ". Set WORKFLOW_API_KEY to one of the site's AWL_API_KEY values"
    return WorkflowError(message, code=code, http_status=response.status)


def _not_the_api(response: Response, site: Site, capability: str) -> WorkflowError:
    status = response.status
    if status in _REFUSED or status >= 500:
        return _refused(response, site)
    remedy = (
        f"{site.origin} has no runs API (it answered {status}), and Async Workloads keeps no record"
        " of a run that could be asked. Set `store: blobs` in kit.yaml, run `kit build` and deploy"
        " again; or run the workflow with provider: local"
    )
    return NotSupportedError(capability, "netlify", remedy)


def _refused(response: Response, site: Site) -> WorkflowError:
    msg = f"{site.origin} did not tell of its runs: {meaning_of(response, site)}"
    return WorkflowError(msg, code="SITE_REFUSED", http_status=response.status)


def _json_of(response: Response) -> Any:
    try:
        return json.loads(response.text)
    except (ValueError, RecursionError):
        return None


def _is_busy(response: Response | NoResponse) -> bool:
    if isinstance(response, NoResponse):
        return not response.timed_out
    return response.status in WORTH_ANOTHER_TRY


def _unless_unended(flow: Flow[dict[str, Any]]) -> Flow[bool]:
    try:
        yield from flow
    except WorkflowError as error:
        if error.code == "RUN_NOT_ENDED":
            return False
        raise
    return True


def checked(run_id: str) -> str:
    """
    Return *run_id* as the API has it.

    Raises:
        RunNotFoundError: If it is none that a run could have.
    """
    try:
        return check_id(run_id).lower()
    except ValueError:
        shown = str(run_id)[:100]
        raise RunNotFoundError(f"no run has the id {shown!r}", run_id=shown) from None  # noqa: EM102
