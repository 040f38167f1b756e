"""`kit run`: one run of a workflow, here, durably, to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.options import Data, parsed
from kit.cli.reading import open_reader
from kit.cli.screen.terminal import say

if TYPE_CHECKING:
    from kit.cli.project import Project
    from kit.model.annotations import Encoded
    from kit.model.event import Event
    from kit.model.workflow import AnyWorkflow


def run(
    name: Annotated[str, typer.Argument(help="The workflow's name.", show_default=False)],
    data: Data = None,
    key: Annotated[
        str | None,
        typer.Option("--id", help="An idempotency key: the same key never starts a second run."),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Skip sleeps and waits.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole run as JSON, not only its result.")
    ] = False,
) -> None:
    """Run a workflow here, durably, to its end, and print its result."""
    from kit.cli.project import Project
    from kit.cli.screen.ending import finish

    if key == "":
        msg = "--id is empty; give a key, or leave it out"
        raise typer.BadParameter(msg)
    given = parsed(data)
    project = Project()
    event = _event(project, name, given, key)
    if key is not None:
        _note_known(project, event, key)
    project.see_through(
        lambda engine: engine.submit(event, key=key),
        event.id,
        fast=fast,
        resume=() if key is None else (event.id,),
    )
    finish(open_reader(project.path), event.id, as_json=as_json)


def _event(project: Project, name: str, given: Any, key: str | None) -> Event:
    """Return the event that starts the run, its data valid for the workflow."""
    from uuid import uuid4

    from kit.model.event import Event, derived_id

    workflow = project.get(name)
    data, text = _valid(project, workflow, given)
    event_name = workflow.event_name
    event_id = str(uuid4()) if key is None else derived_id("run", event_name.lower(), key)
    return Event(event_name, data, event_id, text=text)


def _valid(project: Project, workflow: AnyWorkflow, given: Any) -> Encoded:
    from kit.model.annotations import encode_input
    from kit.project.catalog import annotation_error

    try:
        return encode_input(workflow, given)
    except TypeError as error:  # an annotation that makes no sense
        path = project.catalog.paths.get(workflow.event_name, workflow.event_name)
        raise annotation_error(path, error) from error


def _note_known(project: Project, event: Event, key: str) -> None:
    """Say so if *key* has started a run before: that one counts, with its own input."""
    from kit.model.text import decode

    known = open_reader(project.path).find(event.id)
    if known is None:
        return
    differs = ", with another input, which counts" if decode(known.data) != event.data else ""
    say(f"note: {key!r} has started run {known.id} before{differs}; it is {known.status}")
