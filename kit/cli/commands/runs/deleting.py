"""`kit runs delete`: ended runs, here or on a site, and all that is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.commands.runs.options import AsJson, Local, Statuses, not_ended, runs_meant
from kit.cli.hints import kept_here
from kit.cli.screen.terminal import print_json, say
from kit.cli.site_runs import SiteRuns
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.store.sqlite.reader import Reader


def delete(
    run_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Runs, or their ids' beginnings.")
    ] = None,
    status: Statuses = None,
    every: Annotated[bool, typer.Option("--all", help="Every run that has ended.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help="Only what ended longer ago than that: 30d, 12 hours."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Delete ended runs and all that is kept of them."""
    chosen = status is not None or older_than is not None
    if (run_ids is not None) + chosen + every != 1:
        msg = "name the runs, or give --all, or --status and --older-than"
        raise typer.BadParameter(msg)
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        deleted = (
            kept.delete_many(status or [], _moment(older_than), yes=yes)
            if run_ids is None
            else kept.delete_named(run_ids, yes=yes)
        )
    elif run_ids is None:
        deleted = _delete_many(kept, status or [], older_than, yes=yes)
    else:
        deleted = _delete_named(kept, run_ids)
    if as_json:
        print_json({"deleted": deleted})
    else:
        say(f"deleted {len(deleted)} run{'' if len(deleted) == 1 else 's'}")


def _delete_many(
    reader: Reader, status: list[RunStatus], older_than: str | None, *, yes: bool
) -> list[str]:
    from kit.store.sqlite.housekeeping import Ended, count_ended, delete_ended

    which = Ended(status, _moment(older_than))
    count = count_ended(reader.path, which) if reader.path.exists() else 0
    if not count:
        return []
    if not yes:
        typer.confirm(f"Delete {count} ended runs?", abort=True, err=True)
    return delete_ended(reader.path, which)


def _moment(older_than: str | None) -> int | None:
    from kit.cli.screen.times import now
    from kit.model.duration import parse_duration, to_milliseconds

    if older_than is None:
        return None
    try:
        age = to_milliseconds(parse_duration(older_than))
    except ValueError as error:
        msg = f"--older-than {older_than!r}: {error}"
        raise typer.BadParameter(msg) from None
    if age < 0:  # every run has ended longer ago than that: nobody means it
        msg = f"--older-than {older_than!r}: it must not be negative"
        raise typer.BadParameter(msg)
    return now() - age


def _delete_named(reader: Reader, run_ids: list[str]) -> list[str]:
    from kit.store.sqlite.direct import delete as delete_run

    named = [reader.get(run_id) for run_id in run_ids]
    for run in named:
        if not run.status.is_final and run.status is not RunStatus.UNKNOWN:
            advice = f"stop it first: {kept_here(f'stop {run.id}')}. Nothing was deleted"
            raise not_ended(run, f"run {run.id} is {run.status}; {advice}")
    for run in named:
        delete_run(reader.path, run.id)
    return [run.id for run in named]
