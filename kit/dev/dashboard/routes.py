"""
The addresses of the dashboard, as Starlette routes below where it is mounted.

Whoever mounts them checks Host, Origin and the token of whatever is no GET; here every answer says
that no other page may embed it and that nothing but its own files may run in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from kit.dev.dashboard.feed import feed
from kit.dev.dashboard.render import STATIC, Renderer, readable
from kit.dev.dashboard.screens import Now, Screen, Screens
from kit.dev.dashboard.starting import start
from kit.dev.dashboard.views.names import name_in, path_of
from kit.dev.dashboard.views.rows import value_of
from kit.dev.runs import Details, Runs
from kit.model.errors import WorkflowError

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
"""What a page may do: load from its own server, and be in no other page's frame."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

PATIENCE = 3.0
"""Seconds after which a page says that it waits for a site, and goes on doing so."""

_SEE_OTHER = 303
_MOST_FIELDS = 10_000


def routes(
    runs: Runs,
    *,
    token: str,
    project: str = "",
    prefix: str = "/_kit",
    now: Now | None = None,
    patience: float = PATIENCE,
) -> list[BaseRoute]:
    """
    Return the dashboard's routes, to be mounted at *prefix*.

    *token* is put into the pages' forms. *project* is the name shown at the top. *now* tells the
    time in milliseconds since the epoch. *patience* is how many seconds a page waits for a site.
    """
    screens = Screens(runs, now or _now)
    renderer = Renderer(prefix=prefix, token=token, project=project)
    pages = _Pages(screens, renderer, prefix, patience)
    return [
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/feed", pages.feed),
        Route("/runs/{run_id}/value", pages.value),
        Route("/runs/{run_id}/{action}", pages.act, methods=["POST"]),
        Route("/workflows/{name:path}", pages.start, methods=["POST"]),
        Route("/{path:path}", pages.page),
    ]


def _now() -> int:
    return time.time_ns() // 1_000_000


class _Pages:
    def __init__(self, screens: Screens, renderer: Renderer, prefix: str, patience: float) -> None:
        self._screens = screens
        self._renderer = renderer
        self._prefix = prefix
        self._patience = patience

    async def page(self, request: Request) -> Response:
        path = "/" + request.path_params["path"]
        return await self._answer(self._screens.of(path, request.query_params), request)

    async def feed(self, request: Request) -> Response:
        query = request.query_params
        events = feed(
            self._screens,
            self._renderer,
            query.get("at", "/"),
            is_awaited="awaited" in query,
            is_look="look" in query,
        )
        return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)

    async def value(self, request: Request) -> Response:
        """Send a value whole, as text: what the page shows only the beginning of."""
        try:
            details = await self._screens.runs.details(request.path_params["run_id"])
        except WorkflowError as error:
            return self._trouble(error)
        text = None if details is None else _value(details, request.query_params.get("of", ""))
        if text is None:
            return Response("there is no such value", 404, HEADERS, "text/plain")
        if "download" in request.query_params:
            named = {"content-disposition": 'attachment; filename="value.json"'}
            return Response(text, headers={**HEADERS, **named}, media_type="text/plain")
        return Response(readable(text), headers=HEADERS, media_type="text/plain")

    async def act(self, request: Request) -> Response:
        """Stop, retry, restart or delete a run, and go on to where that shows."""
        run_id, action = request.path_params["run_id"], request.path_params["action"]
        if action not in _ACTIONS:
            return Response("there is no such action", 404, HEADERS)
        try:
            is_done = await _ACTIONS[action](self._screens.runs, run_id)
        except WorkflowError as error:
            return self._trouble(error)
        if action == "delete" and is_done:
            return self._go("/")
        note = action if is_done else f"{'retry' if action == 'restart' else action}-late"
        return self._go(f"/runs/{quote(run_id)}", note=note)

    async def start(self, request: Request) -> Response:
        """Start a workflow with what its form says, or show the form with what is wrong."""
        name = name_in(request.path_params["name"])
        try:
            entries = _entries(await request.body())
            found = await start(self._screens, name, entries)
        except WorkflowError as error:
            return self._trouble(error)
        if isinstance(found, Screen):
            return self._html(found, f"/workflows/{path_of(name)}")
        return self._go(f"/runs/{quote(found)}")

    async def _answer(self, screen: Awaitable[Screen | None], request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        address = "/" + quote(request.path_params["path"]) + query
        try:
            found = await self._soon(screen)
        except WorkflowError as error:
            return self._trouble(error, address)
        except ValueError:  # a cursor from elsewhere
            return self._go("/")
        if found is None:
            return self._trouble(
                WorkflowError(f"there is no page {request.url.path!r}", http_status=404)
            )
        return self._html(found, address)

    async def _soon(self, screen: Awaitable[Screen | None]) -> Screen | None:
        """
        Return *screen*, unless a site keeps it waiting: then its page is shown when it can be.

        Raises:
            WorkflowError: If the site has not answered yet.
        """
        source = self._screens.runs.source
        if source.kind == "local":
            return await screen
        try:
            return await asyncio.wait_for(screen, self._patience)
        except TimeoutError:
            msg = f"{source.place} has not answered yet, for {self._patience:g} seconds"
            raise WorkflowError(msg, code="SITE_SLOW", http_status=504) from None

    def _html(self, screen: Screen, address: str) -> Response:
        values = {
            **screen.values,
            "title": screen.title,
            "feed": self._feed_of(address),
        }
        text = self._renderer.text(screen.template, values)
        return HTMLResponse(text, screen.status, HEADERS)

    def _feed_of(self, address: str) -> str:
        return f"{self._prefix}/feed?{urlencode({'at': address})}"

    def _trouble(self, error: WorkflowError, address: str | None = None) -> Response:
        """Say what is wrong; what is at *address* is shown as soon as it can be."""
        is_missing = error.http_status == 404
        values: dict[str, object] = {
            "title": "Not found" if is_missing else "Error",
            "error": error,
        }
        if address is not None:
            values |= {"feed": f"{self._feed_of(address)}&awaited=1", "is_awaited": True}
        text = self._renderer.text("trouble.html", values)
        return HTMLResponse(text, error.http_status, HEADERS)

    def _go(self, path: str, **query: str) -> Response:
        found = f"?{urlencode(query)}" if query else ""
        return RedirectResponse(f"{self._prefix}{path}{found}", _SEE_OTHER, HEADERS)


def _entries(body: bytes) -> dict[str, str]:
    """
    Return what a form has sent; of two fields with one name, the last counts.

    Raises:
        WorkflowError: If no form sends such a thing.
    """
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        msg = f"this is no form: {error}"
        raise WorkflowError(msg, http_status=400) from error


def _value(details: Details, of: str) -> str | None:
    if of == "input":
        return details.run.data
    if of == "result":
        return details.run.result
    step_id = of.removeprefix("step:")
    texts = (each.text for each in details.checkpoints if each.step_id == step_id)
    return value_of(next(texts, None))


_ACTIONS: Mapping[str, Callable[[Runs, str], Awaitable[bool]]] = {
    "stop": lambda runs, run_id: runs.stop(run_id),
    "retry": lambda runs, run_id: runs.retry(run_id),
    "restart": lambda runs, run_id: runs.retry(run_id, from_start=True),
    "delete": lambda runs, run_id: runs.delete(run_id),
}
