"""`kit dev`: Netlify on this machine, with a window onto every run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.screen.terminal import print_json, say
from kit.version import __version__

if TYPE_CHECKING:
    from kit.dev.serving import Serving

PORT = 8888


def dev(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where to listen; 0 chooses one.")
    ] = PORT,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the dashboard in a browser.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON once it answers.")
    ] = False,
) -> None:
    """Serve the project as Netlify would, here: functions, workflows, and a dashboard."""
    from kit.dev.ports import listen
    from kit.dev.project import DevProject
    from kit.dev.server import Ending
    from kit.dev.serving import serve
    from kit.project.config import load

    config = load()
    config.get_workflow()
    project = DevProject(config, say)
    sockets = listen(port)

    def ready(serving: Serving) -> None:
        if as_json:
            print_json(_to_json(serving))
        else:
            _print(serving)
        if open_page:
            _open(f"{serving.origin}/_kit/")

    try:
        with Ending(say) as ending:
            asyncio.run(serve(project, sockets, ending, ready=ready, tell=say))
    finally:
        for each in sockets:
            each.close()
    say("ended; unfinished runs are kept, and go on at the next `kit dev`")


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


def _print(serving: Serving) -> None:
    lines = list(_lines(serving))
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
    console.print(
        Text("\n  What you save is taken up at once; Ctrl-C ends it, runs are kept.\n", "dim")
    )


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


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
