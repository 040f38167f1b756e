"""`kit runs`: what has been run, here or on a site."""

from __future__ import annotations

from typing import Annotated

import typer

from kit.cli.commands.runs.options import AsJson, Local, Statuses, runs_meant
from kit.cli.loading import group_of
from kit.cli.screen.terminal import print_json, say
from kit.cli.site_runs import SiteRuns

_HERE = "kit.cli.commands.runs"

app = typer.Typer(
    cls=group_of(
        {
            "show": f"{_HERE}.showing:show",
            "result": f"{_HERE}.showing:result",
            "stop": f"{_HERE}.stopping:stop",
            "retry": f"{_HERE}.continuing:retry",
            "resume": f"{_HERE}.continuing:resume",
            "delete": f"{_HERE}.deleting:delete",
        }
    ),
    help="List runs, kept here or on a site; show, stop, retry, delete or resume them.",
)


@app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    status: Statuses = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000_000, help="How many at most.")
    ] = 50,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first: those kept here, or with the provider netlify those of the site."""
    if context.invoked_subcommand is not None:
        return
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        kept.print_list(status or (), limit, as_json=as_json)
        return
    from kit.cli.screen.ending import run_json
    from kit.cli.screen.runs_table import note_undriven, print_runs

    found = kept.runs(statuses=status or (), limit=limit + 1)
    shown = found[:limit]
    if as_json:
        print_json([run_json(kept, run) for run in shown])
        return
    if not found:
        say("no such runs" if status else "no runs yet: kit run NAME makes one")
        return
    print_runs(kept, shown)
    if len(found) > limit:
        say(f"… only the latest {limit}; --limit shows more")
    note_undriven(kept)
