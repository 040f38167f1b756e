"""A table of runs, and whether somebody goes on with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kit.cli.screen.table import print_table, status_style
from kit.cli.screen.terminal import say
from kit.cli.screen.times import age, countdown, now
from kit.model.delivery import CheckpointKind
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.model.run import Run
    from kit.store.sqlite.reader import Reader

_HEAD = ("ID", "WORKFLOW", "STATUS", "AGE", "FAILED", "STEPS")
_SHORT = 8


def print_runs(reader: Reader, runs: Sequence[Run]) -> None:
    """Print *runs*: with short ids on a terminal, with whole ones in a pipe."""
    rows = [_row(reader, run) for run in runs]
    if sys.stdout.isatty() and len({run_id[:_SHORT] for run_id, *_ in rows}) == len(rows):
        rows = [(run_id[:_SHORT], *rest) for run_id, *rest in rows]
    print_table(_HEAD, rows, ("", "", status_style, "dim", "dim", "dim"))


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


def _standing(status: RunStatus, due: int | None) -> str:
    """Say a status, and when the run goes on."""
    left = (due or 0) - now()
    if status in (RunStatus.QUEUED, RunStatus.SLEEPING) and left > 0:
        return f"{status}, {countdown(left)} left"
    return str(status)


def note_undriven(reader: Reader) -> None:
    """Say so if there are unfinished runs, but no process to go on with them."""
    from kit.store.sqlite.lease import is_held

    left = reader.count_unfinished()
    if left and not is_held(reader.path):
        what = "1 run is" if left == 1 else f"{left} runs are"
        say(f"{what} unfinished, and no process is at work on that: kit runs resume")
