"""How a run has ended, as the commands that wait for one say it: result, error, exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kit.cli.hints import kept_here
from kit.cli.screen.terminal import print_json, say
from kit.model.printable import printable
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.model.run import Run
    from kit.store.json import RunJson
    from kit.store.sqlite.reader import Reader


def run_json(reader: Reader, run: Run) -> RunJson:
    """Return *run* with its steps and failed attempts, as JSON."""
    from kit.model.errors import StoreError
    from kit.model.failure import Failure
    from kit.store.json import run_to_json
    from kit.store.sqlite.rows import DAMAGED

    try:
        return run_to_json(run, reader.checkpoints(run.id).values(), reader.attempts(run.id))
    except StoreError as error:
        if error.code != DAMAGED:
            raise
        failure = Failure("DamagedRun", error.message, code=DAMAGED)
        return run_to_json(run._replace(status=RunStatus.UNKNOWN, failure=failure))


def finish(reader: Reader, run_id: str, *, as_json: bool) -> None:
    """
    Print what came of a run: its result, or with *as_json* all that is known of it.

    Raises:
        Exit: With 1 unless it has completed.
        StoreError: If it has not ended, and what is stored of it is damaged.
    """
    run = reader.get(run_id)
    if not (as_json or run.status.is_final):
        reader.check_whole(run)
    if as_json:
        print_json(run_json(reader, run))
    elif run.status is RunStatus.COMPLETED:
        from kit.model.text import decode

        print_json(decode(run.result))
    else:
        say_why(run, len(reader.attempts(run.id)), kept_here(f"retry {run.id}"))
    if run.status is not RunStatus.COMPLETED:
        raise typer.Exit(1)


def say_why(run: Run, attempts: int, retry: str) -> None:
    """Say why a run has no result, on standard error; *retry* is the command that tries again."""
    which = f"run {run.id} of {run.workflow!r}"
    if run.failure is not None:
        if run.failure.traceback:
            say(run.failure.traceback.rstrip())
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        after = f" after {tries}" if attempts else ""
        what = f"{run.failure.type}: {run.failure.message}"
        say(f"error: {which} failed{after}: {printable(what)}")
        say(f"Run it again from its last finished step: {retry}")
    elif run.status.is_final:
        say(f"error: {which} was {run.status}")
    else:
        say(f"error: {which} has no result yet: it is {run.status}")
