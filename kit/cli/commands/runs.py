"""`kit runs`: what has been run here or on a site, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.hints import kept_here
from kit.cli.reading import open_reader
from kit.cli.screen.terminal import print_json, say
from kit.cli.site_runs import site_runs
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.model.errors import RunError
    from kit.model.run import Run
    from kit.store.sqlite.reader import Reader

app = typer.Typer(
    help="List runs, kept here or on a site; show, stop, retry, delete or resume them."
)

RunId = Annotated[
    str, typer.Argument(metavar="ID", help="The run's id, or its beginning.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STORED = [each.value for each in RunStatus if each is not RunStatus.UNKNOWN]


def _stored(text: str) -> RunStatus:
    """Return the status *text* if a run can be stored with it: `unknown` is what cannot be read."""
    if text not in _STORED:
        msg = f"{text!r} is not one of {', '.join(_STORED)}"
        raise typer.BadParameter(msg)
    return RunStatus(text)


Statuses = Annotated[
    list[RunStatus] | None,
    typer.Option(
        "--status",
        parser=_stored,
        metavar=f"[{'|'.join(_STORED)}]",
        help="Only runs in this status; may be repeated. failed: gave up.",
    ),
]
Local = Annotated[
    bool, typer.Option("--local", help="The runs kept here, though the provider is netlify.")
]
Fast = Annotated[bool, typer.Option("--fast", help="Skip sleeps and waits.")]


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
    if there := site_runs(local=local):
        there.print_list(status or (), limit, as_json=as_json)
        return
    from kit.cli.screen.ending import run_json
    from kit.cli.screen.runs_table import note_undriven, print_runs

    reader = _reader()
    found = reader.runs(statuses=status or (), limit=limit + 1)
    shown = found[:limit]
    if as_json:
        print_json([run_json(reader, run) for run in shown])
        return
    if not found:
        say("no such runs" if status else "no runs yet: kit run NAME makes one")
        return
    print_runs(reader, shown)
    if len(found) > limit:
        say(f"… only the latest {limit}; --limit shows more")
    note_undriven(reader)


@app.command()
def show(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """Show all that is known of a run: times, input, result, steps, failed attempts."""
    if there := site_runs(local=local):
        there.show(run_id, as_json=as_json)
        return
    from kit.cli.screen.ending import run_json
    from kit.cli.screen.run_page import print_run

    reader = _reader()
    found = run_json(reader, reader.get(run_id))
    if as_json:
        print_json(found)
    else:
        print_run(found)


@app.command()
def result(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """Print what a run returned; exit with 1 if it failed or has not ended."""
    if there := site_runs(local=local):
        there.finish(run_id, as_json=as_json)
        return
    from kit.cli.screen.ending import finish

    finish(_reader(), run_id, as_json=as_json)


@app.command()
def stop(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """End a run: at once if it waits, at its next step or sleep if it is running."""
    if there := site_runs(local=local):
        there.stop(run_id, as_json=as_json)
        return
    from kit.cli.screen.times import now
    from kit.model.errors import StoreInUseError
    from kit.store.sqlite.direct import cancel, request_stop
    from kit.store.sqlite.lease import Lease

    reader = _reader()
    run = reader.get(run_id)
    if run.status.is_final:
        _answer(reader, run, f"run {run.id} had already ended: it is {run.status}", as_json)
        return
    request_stop(reader.path, run.id, now())  # from here on it is stopped, whoever dies
    try:
        with Lease(reader.path):
            executed = any(row.driver in reader.living() for row in reader.left([run.id]))
            if not executed:
                cancel(reader.path, run.id, now())
                _answer(reader, reader.get(run.id), f"run {run.id} is cancelled", as_json)
                return
        who = "the process that executes it"
    except StoreInUseError as error:
        who = f"process {error.pid}, which drives the runs,"
    said = f"asked {who} to stop run {run.id}: at once if it waits, else at its next step"
    _answer(reader, run, said, as_json)


@app.command()
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
    if there := site_runs(local=local):
        if fast:
            msg = "--fast is for runs kept here: a site sleeps as long as it says"
            raise typer.BadParameter(msg)
        there.retry(run_id, from_start=from_start, as_json=as_json)
        return
    from kit.cli.project import Project
    from kit.cli.screen.ending import finish

    reader = _reader()
    run = reader.get(run_id)
    if not from_start or run.status is RunStatus.UNKNOWN:
        reader.check_whole(run)
    if not run.status.is_final:
        advice = f"Stop it first, or continue what an ended process left: kit runs resume {run.id}"
        raise _not_ended(run, f"run {run.id} has not ended: it is {run.status}. {advice}")
    project = Project()
    project.get(run.workflow)
    project.see_through(
        lambda engine: engine.retry(run.id, from_start=from_start), run.id, fast=fast
    )
    finish(reader, run.id, as_json=as_json)


@app.command()
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

    reader = _reader()
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


@app.command()
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
    if there := site_runs(local=local):
        deleted = (
            there.delete_many(status or [], _moment(older_than), yes=yes)
            if run_ids is None
            else there.delete_named(run_ids, yes=yes)
        )
    elif run_ids is None:
        deleted = _delete_many(_reader(), status or [], older_than, yes=yes)
    else:
        deleted = _delete_named(_reader(), run_ids)
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
            raise _not_ended(run, f"run {run.id} is {run.status}; {advice}")
    for run in named:
        delete_run(reader.path, run.id)
    return [run.id for run in named]


def _not_ended(run: Run, message: str) -> RunError:
    from kit.model.errors import RunError

    return RunError(message, run_id=run.id, code="RUN_NOT_ENDED")


def _answer(reader: Reader, run: Run, said: str, as_json: bool) -> None:
    from kit.cli.screen.ending import run_json

    say(said)
    if as_json:
        print_json(run_json(reader, run))


def _reader() -> Reader:
    from kit.project.config import load

    return open_reader(load().path)
