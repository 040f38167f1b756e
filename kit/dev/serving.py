"""`kit dev` put together: what is served where, and what happens when a file is saved."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.client import default
from kit.dev.access import Access, key_of
from kit.dev.app import Site, make_app
from kit.dev.dashboard.routes import routes
from kit.dev.events import Events
from kit.dev.local import LocalRuns
from kit.dev.project import DevProject, Tell
from kit.dev.provider import DevProvider
from kit.dev.runs_api import RunsApi
from kit.dev.server import Ending, Server, new_token
from kit.dev.watching import saved


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that is about to answer: its origin, the project and the runs."""

    origin: str
    project: DevProject
    runs: LocalRuns


async def serve(
    project: DevProject,
    sockets: Sequence[socket.socket],
    ending: Ending,
    *,
    ready: Callable[[Serving], None],
    tell: Tell,
) -> None:
    """
    Serve *project* at *sockets* until *ending*; *ready* is called when requests are answered.

    Raises:
        StoreError: If the file of the runs cannot be used.
    """
    ended = ending.here()
    port = sockets[0].getsockname()[1]
    await project.load()
    config = project.config
    async with LocalRuns(config.path, project.workflows, config.get_workflow()) as runs:
        before = default.use(default.Default(DevProvider(runs), project.workflows))
        access = Access(lambda: key_of(project.config))
        token = new_token()
        app = make_app(
            port=port,
            token=token,
            dashboard=routes(runs, token=token, project=project.root.name),
            addresses=[*Events(runs, access, tell).routes(), *RunsApi(runs, access).routes()],
            site=Site(project),
        )
        watching = asyncio.create_task(_watch(project, runs, tell))
        try:
            ready(Serving(f"http://127.0.0.1:{port}", project, runs))
            await Server(app, sockets).until(ended, runs.feed.close)
        finally:
            default.use(before)
            await project.close()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


async def _watch(project: DevProject, runs: LocalRuns, tell: Tell) -> None:
    async for files in saved(project.root, asyncio.Event()):
        try:
            reloaded = await project.saved(files)
            if reloaded.settings:
                await runs.move(project.config.path, project.config.get_workflow())
            if reloaded.modules:
                await runs.reloaded()
                tell(f"reloaded after {_names(files, project)} changed")
        except Exception as error:  # noqa: BLE001 - whatever it was, the next save may mend it
            tell(f"error: what was saved could not be taken up: {error}")


def _names(files: set[Path], project: DevProject) -> str:
    names = sorted(str(file.relative_to(project.root)) for file in files)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
