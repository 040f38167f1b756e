"""`kit send`: start a workflow on the configured site."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.options import ApiKey, BaseUrl, Data, Timeout, parsed
from kit.cli.screen.terminal import print_json, print_line, say
from kit.cli.site import site, used_rightly

if TYPE_CHECKING:
    from kit.client.workflow_client import WorkflowClient


def send(
    name: Annotated[str, typer.Argument(help="The workflow's name.", show_default=False)],
    data: Data = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    delay: Annotated[
        str | None, typer.Option("--delay", help='Not before this has passed, such as "30s".')
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="From -50 to 50; higher goes first.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--id", help="An idempotency key: the same key is always the same event."),
    ] = None,
    timeout: Timeout = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Start a workflow on a Netlify site, and print the id of its run."""
    if key == "":
        msg = "--id is empty; give a key, or leave it out"
        raise typer.BadParameter(msg)
    given = parsed(data)
    with site(base_url, api_key, timeout) as client:
        _check_known(client, name)
        with used_rightly():
            run = client.run_workflow(name, given, id=key, delay=delay, priority=priority)
    if as_json:
        print_json(_to_json(run.id, run.name, run.native.tries))
        return
    say(f"accepted: {run.name!r} is queued; with `store: blobs` there, kit runs show tells of it")
    print_line(run.id)


def _check_known(client: WorkflowClient, name: str) -> None:
    """Say so if the project has workflows, but none of that name: a router drops what it lacks."""
    # what a workflow file prints while it is imported is no result of ours
    with redirect_stdout(sys.stderr):
        known = [workflow.event_name for workflow in client.list_workflows()]
    if known and name.lower() not in (each.lower() for each in known):
        say(f"note: no workflow of this project is called {name!r}; it has {', '.join(known[:8])}")
        say("note: a site without one accepts the event too, and drops it")


def _to_json(run_id: str, name: str, tries: int) -> dict[str, Any]:
    return {
        "eventId": run_id,
        "eventName": name,
        "provider": "netlify",
        "status": "queued",
        "tries": tries,
    }
