"""`kit runs retry` and `kit runs resume`: a run goes on, here to its end, or on a site."""

from __future__ import annotations

from typing import Annotated

import typer

from kit.cli.commands.runs.options import (
    AsJson,
    Fast,
    Local,
    RunId,
    not_ended,
    reader_here,
    runs_meant,
)
from kit.cli.site_runs import SiteRuns
from kit.model.run import RunStatus


def retry(
    run_id: RunId,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Forget what its steps came to.")
    ] = False,
    fast: Fast = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Run an ended run again from its last finished step: here to its end, or on the site."""
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        if fast:
            msg = "--fast is for runs kept here: a site sleeps as long as it says"
            raise typer.BadParameter(msg)
        kept.retry(run_id, from_start=from_start, as_json=as_json)
        return
    from kit.cli.project import Project
    from kit.cli.screen.ending import finish

    run = kept.get(run_id)
    if not from_start or run.status is RunStatus.UNKNOWN:
        kept.check_whole(run)
    if not run.status.is_final:
        advice = f"Stop it first, or continue what an ended process left: kit runs resume {run.id}"
        raise not_ended(run, f"run {run.id} has not ended: it is {run.status}. {advice}")
    project = Project()
    project.get(run.workflow)
    project.see_through(
        lambda engine: engine.retry(run.id, from_start=from_start), run.id, fast=fast
    )
    finish(kept, run.id, as_json=as_json)


def resume(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Only this run, or its id's beginning."),
    ] = None,
    fast: Fast = False,
    as_json: AsJson = False,
) -> None:
    """Continue here what an ended process left unfinished, to the end, sleeps included."""
    from kit.cli import resuming
    from kit.cli.project import Project
    from kit.cli.screen.ending import finish

    reader = reader_here()
    if run_id is None:
        resuming.resume_all(reader, fast=fast, as_json=as_json)
        return
    run = reader.get(run_id)
    if not run.status.is_final:
        reader.check_whole(run)
        project = Project()
        project.get(run.workflow)
        project.see_through(lambda engine: engine.wait(run.id), run.id, fast=fast, resume=(run.id,))
    finish(reader, run.id, as_json=as_json)
