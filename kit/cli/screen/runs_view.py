"""Runs as people read them: a table of many, a page on one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kit.cli.screen.terminal import say
from kit.cli.screen.times import age, countdown, moment, now, span
from kit.model.delivery import CheckpointKind
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.model.run import Run
    from kit.store.json import AttemptJson, RunJson, StepJson
    from kit.store.sqlite.reader import Reader

_HEAD = ("ID", "WORKFLOW", "STATUS", "AGE", "FAILED", "STEPS")
_COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "sleeping": "blue"}
_SHORT = 8
_LONGEST = 400
_LONGEST_VALUE = 60


# ---------------------------------------------------------------- many


def print_table(reader: Reader, runs: Sequence[Run]) -> None:
    """Print *runs*: with short ids on a terminal, with whole ones in a pipe."""
    rows = [_row(reader, run) for run in runs]
    if sys.stdout.isatty():
        _print_styled_table(rows)
        return
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    for row in (_HEAD, *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _row(reader: Reader, run: Run) -> tuple[str, ...]:
    kinds = [checkpoint.kind for checkpoint in reader.checkpoints(run.id).values()]
    return (
        run.id,
        run.workflow,
        _standing(run.status, run.due),
        age(now() - run.created),
        str(len(reader.attempts(run.id))),
        str(kinds.count(CheckpointKind.STEP)),
    )


def _standing(status: RunStatus, due: int | None) -> str:
    """Say a status, and when the run goes on."""
    left = (due or 0) - now()
    if status in (RunStatus.QUEUED, RunStatus.SLEEPING) and left > 0:
        return f"{status}, {countdown(left)} left"
    return str(status)


def _print_styled_table(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    short = {row[0][:_SHORT] for row in rows}
    cut = _SHORT if len(short) == len(rows) else None
    table = Table(*_HEAD, box=None, pad_edge=False, header_style="bold")
    for run_id, workflow, standing, *rest in rows:
        colour = _COLOURS.get(standing.split(",")[0], "")
        cells = [Text(run_id[:cut], no_wrap=True), Text(workflow), Text(standing, colour)]
        table.add_row(*cells, *(Text(cell, "dim") for cell in rest))
    Console().print(table)


def note_undriven(reader: Reader) -> None:
    """Say so if there are unfinished runs, but no process to go on with them."""
    from kit.store.sqlite.lease import is_held

    left = reader.count_unfinished()
    if left and not is_held(reader.path):
        what = "1 run is" if left == 1 else f"{left} runs are"
        say(f"{what} unfinished, and no process is at work on that: kit runs resume")


# ---------------------------------------------------------------- one


def print_run(run: RunJson) -> None:
    """Print all that is known of a run."""
    lines = list(_page(run))
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{text}\n" for text, _ in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for text, style in lines:
        console.print(Text(text, style), soft_wrap=True)


def _page(run: RunJson) -> Iterator[tuple[str, str]]:
    for label, value in _facts(run):
        colour = _COLOURS.get(run["status"], "") if label == "status" else ""
        yield f"{label:9} {value}", colour
    if run["steps"]:
        yield "\nsteps", "bold"
        width = min(40, max(len(_step_name(step)) for step in run["steps"]))
        for step in run["steps"]:
            yield _step(step, width)
    if run["attempts"]:
        yield "\nfailed attempts", "bold"
        for attempt in run["attempts"]:
            yield from _attempt(attempt)
    elif run["error"]:
        yield "\nerror", "bold"
        yield f"  {run['error']['type']}: {run['error']['message']}", "red"


def _facts(run: RunJson) -> Iterator[tuple[str, str]]:
    yield "run", run["id"]
    yield "workflow", run["workflow"]
    yield "status", _status(run)
    yield "created", f"{moment(run['createdAt'])}, {age(now() - run['createdAt'])} ago"
    if run["startedAt"]:
        yield "started", moment(run["startedAt"])
    if run["endedAt"]:
        took = f", after {span(run['endedAt'] - run['startedAt'])}" if run["startedAt"] else ""
        yield "ended", f"{moment(run['endedAt'])}{took}"
    yield "input", _cut(run["data"], _LONGEST)
    if run["status"] == RunStatus.COMPLETED:
        yield "result", _cut(run["result"], _LONGEST)


def _status(run: RunJson) -> str:
    attempt = f", attempt {run['attempt']}" if run["attempt"] else ""
    due = run["dueAt"]
    if not due:
        return f"{run['status']}{attempt}"
    left = due - now()
    goes_on = f"goes on in {countdown(left)}, {moment(due)}" if left > 0 else "due now"
    return f"{run['status']}{attempt}, {goes_on}"


def _step_name(step: StepJson) -> str:
    kind, name = step["kind"], step["id"]
    if kind == CheckpointKind.SEND:
        return name.removeprefix("kit:send:").rpartition(":")[0] or name
    return f"after attempt {name.rpartition(':')[2]}" if kind == CheckpointKind.RETRY else name


def _step(step: StepJson, width: int) -> tuple[str, str]:
    verb, style = _verb(step)
    began, ended = step["startedAt"], step["endedAt"]
    took = span(ended - began) if began and ended and step["kind"] != CheckpointKind.SEND else ""
    text = f"  {verb:8} {_step_name(step):{width}}  {took:>10}"
    if "error" in step:
        error = step["error"]
        text += f"  {error.get('type')}: {error.get('message')}"
    elif step.get("value") is not None:
        text += f"  {_cut(step['value'], _LONGEST_VALUE)}"
    return text.rstrip(), style


def _verb(step: StepJson) -> tuple[str, str]:
    if step["status"] != "completed":
        return step["status"], "blue" if step["status"] == "sleeping" else "red"
    kinds = {
        CheckpointKind.SLEEP: "slept",
        CheckpointKind.SEND: "sent",
        CheckpointKind.RETRY: "waited",
    }
    return kinds.get(step["kind"], "done"), ""


def _attempt(attempt: AttemptJson) -> Iterator[tuple[str, str]]:
    error = attempt["error"]
    step = f" in step {error['stepId']!r}" if error["stepId"] else ""
    wait = attempt["retryIn"]
    then = "it gave up" if wait is None else f"tried again after {span(wait)}"
    yield (
        f"  {attempt['number']}  {moment(attempt['endedAt'])}{step}, {then}:"
        f" {error['type']}: {error['message']}",
        "red",
    )
    for line in error["traceback"].rstrip().splitlines():
        yield f"     {line}", "dim"


def _cut(value: Any, longest: int) -> str:
    text = json.dumps(value, ensure_ascii=not _takes_all())
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text)} characters; --json shows all)"


def _takes_all() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
