"""`kit events`: delete events of a site, and try its dead letters again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.options import ApiKey, BaseUrl, Timeout
from kit.cli.recorded import has_runs, refuse_ended, refuse_unended
from kit.cli.screen.terminal import print_json, say
from kit.cli.site import site, used_rightly

if TYPE_CHECKING:
    from kit.client.workflow_client import WorkflowClient
    from kit.netlify.management import Accepted

app = typer.Typer(
    help="Delete the events of a Netlify site, or try its dead letters again.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(help="Event ids.", show_default=False)]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", help="Events of this workflow. May be repeated, but with --id."),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--id", help="The key it was sent with: kit send NAME --id KEY. Needs --name NAME."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def delete(
    ids: Ids = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="Only, or all, in this state: pending, processing, delayed, hibernating,"
            " dead-lettered. May be repeated.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every event of the site, in every state.")
    ] = False,
    names: Names = None,
    keys: Keys = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Delete events: by id, by state, or all of them."""
    if names and not keys:
        msg = "--name goes with --id here: events are deleted by id or state, not by name"
        raise typer.BadParameter(msg)
    chosen = [*(ids or ()), *_ids_of(keys, names)]
    with site(base_url, api_key, timeout) as client, used_rightly():
        refuse_unended(client, chosen)
        if (everything or states) and not (chosen or yes):
            _confirm(f"Delete {_described(states)} of {client.origin}?{_lost(client)}")
        accepted = client.delete_events(ids=chosen, states=states or (), everything=everything)
    _report(accepted, "deletes the events", as_json=as_json)


@app.command()
def retry(
    ids: Ids = None,
    names: Names = None,
    keys: Keys = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again, from their first step: by id, by name, or all of them."""
    chosen, wanted = [*(ids or ()), *_ids_of(keys, names)], () if keys else names or ()
    with site(base_url, api_key, timeout) as client, used_rightly():
        refuse_ended(client, chosen)
        accepted = client.retry_events(ids=chosen, names=wanted, everything=everything)
        if not chosen and has_runs(client, ["failed"], wanted):
            say("note: not those with a record: kit runs --status failed, then kit runs retry ID")
    _report(accepted, "retries the events, every step of them", as_json=as_json)


def _ids_of(keys: list[str] | None, names: list[str] | None) -> list[str]:
    """Return the ids of the events that were sent with *keys*."""
    if not keys:
        return []
    from kit.model.event import check_key, check_name, derived_id

    if not names or len(names) > 1:
        msg = "--id needs one --name: a key belongs to a workflow"
        raise typer.BadParameter(msg)
    with used_rightly():
        name = check_name(names[0]).lower()
        return [derived_id("run", name, check_key(key)) for key in keys]


def _lost(client: WorkflowClient) -> str:
    if has_runs(client, ["queued", "sleeping"], ()):
        return " Nothing will wake the runs with a record that wait: kit runs stop ends one."
    return ""


def _described(states: list[str] | None) -> str:
    return f"every {' and every '.join(states)} event" if states else "every event"


def _confirm(question: str) -> None:
    """Ask at a terminal; elsewhere nobody can answer, so say what to give instead."""
    if not _can_ask():
        msg = f"{question} Nobody can be asked here: say so with --yes"
        raise typer.BadParameter(msg)
    typer.confirm(question, abort=True, err=True)


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _report(accepted: Accepted, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"accepted": True, "eventId": accepted.event_id})
    else:
        say(f"accepted, not done yet: the site {what} in its own time")
