"""A table of runs, and whether somebody goes on with them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kit.cli.screen.table import print_table, status_style
from kit.cli.screen.terminal import say
from kit.cli.screen.times import age, countdown, now
from kit.model.delivery import CheckpointKind
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.model.run import Run
    from kit.store.sqlite.reader import Reader

_HEAD = ("ID", "WORKFLOW", "STATUS", "AGE", "FAILED", "STEPS")
_LISTED = ("ID", "WORKFLOW", "STATUS", "AGE", "ERROR")
_SHORT = 8
_LONGEST = 100


def print_runs(reader: Reader, runs: Sequence[Run]) -> None:
    """Print *runs*: with short ids on a terminal, with whole ones in a pipe."""
    rows = _shortened([_row(reader, run) for run in runs])
    print_table(_HEAD, rows, ("", "", status_style, "dim", "dim", "dim"))


def print_listed(runs: Sequence[Mapping[str, Any]]) -> None:
    """Print *runs* as a site's runs API lists them, which is without steps and attempts."""
    rows = _shortened([_listed(run) for run in runs])
    print_table(_LISTED, rows, ("", "", status_style, "dim", "red"))


def _listed(run: Mapping[str, Any]) -> tuple[str, ...]:
    error = run["error"]
    why = f"{error['type']}: {error['message']}".partition("\n")[0][:_LONGEST] if error else ""
    standing = _standing(run["status"], run["dueAt"])
    return (run["id"], run["workflow"], standing, age(now() - run["createdAt"]), why)


def _shortened(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if sys.stdout.isatty() and len({run_id[:_SHORT] for run_id, *_ in rows}) == len(rows):
        return [(run_id[:_SHORT], *rest) for run_id, *rest in rows]
    return rows


def _row(reader: Reader, run: Run) -> tuple[str, ...]:
    from kit.cli.screen.ending import run_json

    shown = run_json(reader, run)  # a damaged run has a row, too
    steps = sum(step["kind"] is CheckpointKind.STEP for step in shown["steps"])
    return (
        run.id,
        run.workflow,
        _standing(shown["status"], run.due),
        age(now() - run.created),
        str(len(shown["attempts"])),
        str(steps),
    )


def _standing(status: str, due: int | None) -> str:
    """Say a status, and when the run goes on."""
    left = (due or 0) - now()
    if status in (RunStatus.QUEUED, RunStatus.SLEEPING) and left > 0:
        return f"{status}, {countdown(left)} left"
    return str(status)


def note_undriven(reader: Reader) -> None:
    """Say so if there are unfinished runs, but no process to go on with them."""
    from kit.store.sqlite.lease import is_held
    from kit.store.sqlite.reader import MANY

    left = reader.count_unfinished().whole  # nobody goes on with what is damaged
    if left and not is_held(reader.path):
        count = f"{left:,} or more" if left >= MANY else str(left)
        what = "1 run is" if left == 1 else f"{count} runs are"
        say(f"{what} unfinished, and no process is at work on that: kit runs resume")
