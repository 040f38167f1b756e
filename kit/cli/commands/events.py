"""`kit events`: delete events of a site, and try its dead letters again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.options import ApiKey, BaseUrl, Timeout
from kit.cli.screen.terminal import print_json, say
from kit.cli.site import site, used_rightly

if TYPE_CHECKING:
    from kit.netlify.management import Accepted

app = typer.Typer(
    help="Delete the events of a Netlify site, or try its dead letters again.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(help="Event ids.", show_default=False)]
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
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Delete events: by id, by state, or all of them."""
    with site(base_url, api_key, timeout) as client, used_rightly():
        accepted = client.delete_events(ids=ids or (), states=states or (), everything=everything)
    _report(accepted, "deletes the events", as_json=as_json)


@app.command()
def retry(
    ids: Ids = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", help="Dead letters of this workflow. May be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again, from their first step: by id, by name, or all of them."""
    with site(base_url, api_key, timeout) as client, used_rightly():
        accepted = client.retry_events(ids=ids or (), names=names or (), everything=everything)
    _report(accepted, "retries the events, every step of them", as_json=as_json)


def _report(accepted: Accepted, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"accepted": True, "eventId": accepted.event_id})
    else:
        say(f"accepted, not done yet: the site {what} in its own time")
