"""
The addresses of `kit dev` as one ASGI application.

    /_kit/                                      the dashboard
    /.netlify/functions/async-workloads-…       events, as Netlify's own functions take them
    /api/…                                      the project's HTTP functions
    everything else                             the publish folder
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import BaseRoute, Mount, Route, Router

from kit.dev import publish
from kit.dev.functions import FUNCTIONS_PATH
from kit.dev.guard import App, Guard, Receive, RequireToken, Scope, Send
from kit.dev.project import DevProject


class Site:
    """What answers a request that is not for one of the kit's own addresses."""

    def __init__(self, project: DevProject) -> None:
        self._project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a function, or a file."""
        path = scope["path"]
        if path.startswith(FUNCTIONS_PATH):
            await PlainTextResponse(self._no_function(path), 404)(scope, receive, send)
        elif found := self._project.functions.match(path):
            await self._project.functions.answer(*found, scope, receive, send)
        else:
            response = publish.answer(self._project.folder, path, scope["method"])
            await response(scope, receive, send)

    def _no_function(self, path: str) -> str:
        found = self._project.functions.named(path)
        if found is not None:
            return f"{found.file} answers at {found.module.route}, here and on Netlify.\n"
        return f"Function not found: {path}. `kit dev` serves the project's Python ones only.\n"


def make_app(
    *,
    port: int,
    token: str,
    dashboard: Sequence[BaseRoute],
    addresses: Sequence[BaseRoute] = (),
    site: App | None = None,
) -> App:
    """
    Return the application that answers at *port*.

    *dashboard* are routes relative to `/_kit`; what changes something there needs *token*.
    *addresses* are Netlify's own, and *site* answers all the rest; a window onto a deployed site
    has neither.
    """
    inner = RequireToken(Router(list(dashboard)), token)
    routes: list[BaseRoute] = [
        Route("/_kit", _to_dashboard),
        Mount("/_kit", inner),
        *addresses,
        Mount("/", site) if site else Route("/", _to_dashboard),
    ]
    return Guard(Starlette(routes=routes), port)


async def _to_dashboard(_: object) -> RedirectResponse:
    return RedirectResponse("/_kit/")
