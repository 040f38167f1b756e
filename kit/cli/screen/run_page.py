"""A page on one run: times, input, result, steps, failed attempts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kit.cli.screen.table import status_style
from kit.cli.screen.times import age, countdown, moment, now, span, took
from kit.model.delivery import CheckpointKind
from kit.model.printable import printable
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.store.json import AttemptJson, RunJson, StepJson

_LONGEST = 400
_LONGEST_VALUE = 60


def print_run(run: RunJson) -> None:
    """Print all that is known of a run."""
    # names and errors may be anybody's: what is no line end of ours is shown, and does nothing
    lines = [(printable(each), style) for text, style in _page(run) for each in text.split("\n")]
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
        colour = status_style(run["status"]) if label == "status" else ""
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
        time = took(run["startedAt"], run["endedAt"])
        yield "ended", f"{moment(run['endedAt'])}{time and f', after {time}'}"
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
    if kind == CheckpointKind.SEND:  # a first edition had the event's name in the id
        sent = step.get("value") or name.removeprefix("kit:send:").rpartition(":")[0]
        return str(sent or name)
    return f"after attempt {name.rpartition(':')[2]}" if kind == CheckpointKind.RETRY else name


def _step(step: StepJson, width: int) -> tuple[str, str]:
    verb, style = _verb(step)
    began, ended = step["startedAt"], step["endedAt"]
    time = took(began, ended) if step["kind"] != CheckpointKind.SEND else ""
    text = f"  {verb:8} {_step_name(step):{width}}  {time:>10}"
    if "error" in step:
        error = step["error"]
        text += f"  {error.get('type')}: {error.get('message')}"
    elif step.get("value") is not None and step["kind"] != CheckpointKind.SEND:
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
