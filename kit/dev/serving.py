"""`kit dev` put together: what is served where, and what happens when a file is saved."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kit.client import default
from kit.dev.access import Access, key_of
from kit.dev.app import Site, make_app
from kit.dev.dashboard.routes import routes
from kit.dev.events import Events
from kit.dev.guard import App
from kit.dev.local import LocalRuns
from kit.dev.project import DevProject, Tell
from kit.dev.provider import DevProvider
from kit.dev.runs_api import RunsApi
from kit.dev.server import Ending, Server, new_token
from kit.dev.watching import RECORD, Watching, package_folders

if TYPE_CHECKING:
    from kit.dev.remote import RemoteRuns

INSTALLED_SECONDS = 1.0
"""How long nothing more must have been installed before the server starts again."""


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
) -> bool:
    """
    Serve *project* at *sockets* until *ending*; *ready* is called when requests are answered.

    Returns True if it ended because packages were installed, and is to be started again: what a
    process has imported of a package it cannot exchange.

    Raises:
        StoreError: If the file of the runs cannot be used.
    """
    ended = ending.here()
    async with contextlib.AsyncExitStack() as exits:
        # before anything is imported, so that what is saved from now on counts
        watching = await exits.enter_async_context(Watching(project.root, tell, package_folders()))
        await project.load()
        exits.push_async_callback(project.close)
        config = project.config
        runs = LocalRuns(config.path, project.workflows, config.get_workflow(), tell=tell)
        await exits.enter_async_context(runs)
        before = default.use(default.Default(DevProvider(runs), project.workflows))
        exits.callback(default.use, before)
        reloading = asyncio.create_task(_reload(watching, project, runs, tell))
        reloading.add_done_callback(lambda _: ended.set())
        exits.push_async_callback(_ended, reloading)
        port = sockets[0].getsockname()[1]
        server = Server(_app(project, runs, port, tell), sockets)
        ready(Serving(f"http://127.0.0.1:{port}", project, runs))
        await server.until(ended, runs.feed.close)
        return reloading.done()


async def serve_remote(
    runs: RemoteRuns,
    project: DevProject | None,
    sockets: Sequence[socket.socket],
    ending: Ending,
    *,
    ready: Callable[[str], None],
) -> None:
    """Serve the dashboard of a deployed site until *ending*; its key stays in this process."""
    ended = ending.here()
    if project is not None:
        await project.load()
    port, token = sockets[0].getsockname()[1], new_token()
    async with runs:
        pages = routes(runs, token=token, project=runs.source.place)
        server = Server(make_app(port=port, token=token, dashboard=pages), sockets)
        ready(f"http://127.0.0.1:{port}")
        await server.until(ended, runs.feed.close)


def _app(project: DevProject, runs: LocalRuns, port: int, tell: Tell) -> App:
    access, token = Access(lambda: key_of(project.config)), new_token()
    return make_app(
        port=port,
        token=token,
        dashboard=routes(runs, token=token, project=project.root.name),
        addresses=[*Events(runs, access, tell).routes(), *RunsApi(runs, access).routes()],
        site=Site(project),
    )


async def _reload(watching: Watching, project: DevProject, runs: LocalRuns, tell: Tell) -> None:
    """Take up what is saved; return when packages were installed, or removed."""
    while True:
        files = await watching.saved.get()
        while not watching.saved.empty():
            files |= watching.saved.get_nowait()
        if packages := {file.stem for file in files if file.suffix == RECORD}:
            await _settled(watching)
            tell(f"packages have changed ({', '.join(sorted(packages)[:3])}): starting again")
            return
        try:
            reloaded = await project.saved(files)
            if reloaded.settings:
                await runs.move(project.config.path, project.config.get_workflow())
            if reloaded.modules:
                await runs.reloaded()
                tell(f"reloaded after {_names(files, project)} changed")
        except Exception as error:  # noqa: BLE001 - whatever it was, the next save may mend it
            tell(f"error: what was saved could not be taken up: {error}")


async def _settled(watching: Watching) -> None:
    """Wait until an installer seems to be done."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(INSTALLED_SECONDS):
                await watching.saved.get()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _names(files: set[Path], project: DevProject) -> str:
    names = sorted(str(file.relative_to(project.root)) for file in files)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
