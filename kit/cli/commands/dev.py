"""`kit dev`: Netlify on this machine, with a window onto every run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.screen.terminal import print_json, say
from kit.version import __version__

if TYPE_CHECKING:
    import socket

    from kit.dev.server import Ending
    from kit.dev.serving import Serving

    Listen = Callable[[], list[socket.socket]]
    Serve = Callable[[Ending, Callable[[str], None]], Coroutine[Any, Any, bool]]

PORT = 8888


def dev(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where to listen; 0 chooses one.")
    ] = PORT,
    remote: Annotated[
        str | None,
        typer.Option("--remote", metavar="URL", help="Show the runs of this deployed site."),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the dashboard in a browser.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON once it answers.")
    ] = False,
) -> None:
    """Serve the project as Netlify would, here: functions, workflows, and a dashboard."""
    import asyncio

    from kit.dev.ports import listen
    from kit.dev.server import Ending

    serve = _local if remote is None else partial(_remote, remote)
    url = ""

    def ready(origin: str) -> None:
        nonlocal url
        url = origin
        if open_page:
            import webbrowser

            webbrowser.open(f"{origin}/_kit/")

    with Ending(say) as ending, contextlib.ExitStack() as exits:
        serving = serve(lambda: [exits.enter_context(each) for each in listen(port)], as_json)
        is_again = asyncio.run(serving(ending, ready))
    if is_again:
        _start_again(url.rpartition(":")[2])
    elif remote is None:
        say("ended; unfinished runs are kept, and go on at the next `kit dev`")


def _start_again(port: str) -> None:
    """Become a new process of the same command, at the same port."""
    given = [each for each in sys.orig_argv[1:] if each != "--open"]
    os.execv(sys.executable, [sys.executable, *given, "--port", port])  # noqa: S606 - it is us


def _local(listen: Listen, as_json: bool) -> Serve:
    """Return what serves the project of the current folder."""
    from kit.cli.project import workflow_logs
    from kit.dev.project import DevProject
    from kit.dev.serving import serve
    from kit.project.config import load

    config = load()
    config.get_workflow()
    project, sockets = DevProject(config, say), listen()

    async def serving(ending: Ending, ready: Callable[[str], None]) -> bool:
        def answers(serving: Serving) -> None:
            if as_json:
                print_json(_to_json(serving))
            else:
                _print(list(_lines(serving)))
            ready(serving.origin)

        with workflow_logs():
            return await serve(project, sockets, ending, ready=answers, tell=say)

    return serving


def _remote(url: str, listen: Listen, as_json: bool) -> Serve:
    """Return what shows the runs of the site at *url*, with the forms of workflows found here."""
    from kit.dev.project import DevProject
    from kit.dev.remote import RemoteRuns
    from kit.dev.serving import serve_remote
    from kit.netlify.site import Site
    from kit.project.config import load

    config = load(base_url=url)
    site = Site(config.base_url or url, config.api_key)
    project, sockets = DevProject(config, say), listen()

    async def serving(ending: Ending, ready: Callable[[str], None]) -> bool:
        def answers(origin: str) -> None:
            if as_json:
                shown = {"url": origin, "dashboard": f"{origin}/_kit/", "pid": os.getpid()}
                print_json({**shown, "site": site.origin})
            else:
                _print([("Dashboard", f"{origin}/_kit/"), ("Runs", f"of {site.origin}")])
            ready(origin)

        runs = RemoteRuns(site, project.workflows)
        await serve_remote(runs, project, sockets, ending, ready=answers)
        return False

    return serving


def _to_json(serving: Serving) -> dict[str, Any]:
    infos = serving.project.workflows.infos()
    source = serving.runs.source
    return {
        "url": serving.origin,
        "dashboard": f"{serving.origin}/_kit/",
        "pid": os.getpid(),
        "runs": {"path": source.place, "drivenBy": source.driver or os.getpid()},
        "workflows": [
            {"name": info.name, "path": info.file, "error": info.error} for info in infos
        ],
        "functions": [
            {"path": each.module.route, "file": each.file}
            for each in serving.project.functions.found
        ],
        "publish": str(serving.project.folder) if serving.project.folder else None,
    }


def _print(lines: Sequence[tuple[str, str]]) -> None:
    if not sys.stderr.isatty():
        for label, text in lines:
            say(f"{label:11} {text}")
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("\n  kit dev", "bold green"), (f"  {__version__}\n", "dim")))
    for label, text in lines:
        style = "cyan" if text.startswith("http") else ""
        line = Text.assemble(("  ➜ " if label else "    ", "green"), (f" {label:11}", "bold"))
        console.print(line, Text(text, style), soft_wrap=True)
    console.print(Text("\n  Ctrl-C ends it; runs are kept.\n", "dim"))


def _lines(serving: Serving) -> Iterator[tuple[str, str]]:
    project, source = serving.project, serving.runs.source
    yield "Dashboard", f"{serving.origin}/_kit/"
    if project.folder is not None:
        shown = os.path.relpath(project.folder, project.root)
        yield "Site", f"{serving.origin}/  (files of {shown})"
    yield from _listed("Functions", [each.module.route for each in project.functions.found])
    infos = project.workflows.infos()
    yield from _listed(
        "Workflows", [each.name for each in infos if not each.error or each.is_stale]
    )
    wrong = [each.file for each in infos if each.error]
    yield from _listed("Wrong", wrong)
    if not infos:
        yield "Workflows", f"none in {project.config.get_workflow().folder} yet"
    driven = f", driven by process {source.driver}: what you ask for here, it does"
    yield "Runs", f"{os.path.relpath(source.place)}{driven if source.driver else ''}"


def _listed(label: str, names: list[str]) -> Iterator[tuple[str, str]]:
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        yield label, ", ".join(names[:8]) + more
