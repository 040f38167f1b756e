"""
Runs as the runs API tells of them: checked, and made into records.

What comes over the network may be anything: an answer that does not have the form of
`schemas/run.schema.json` is an error that says where, not a mistake further on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunDetails, RunStatus

_NONE = type(None)
_LAST_MOMENT = 253_402_300_799_999
"""Milliseconds; the end of the year 9999, later than which Python has no date."""

_ERROR: dict[str, tuple[type, ...]] = {"type": (str,), "message": (str,)}
_RESULT: dict[str, tuple[type, ...]] = {"id": (str,), "workflow": (str,), "status": (str,)}
_RUN = {
    **_RESULT,
    **dict.fromkeys(("attempt", "priority", "createdAt"), (int,)),
    **dict.fromkeys(("startedAt", "endedAt", "dueAt"), (int, _NONE)),
}
_STEP: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "kind", "status"), (str,)),
    **dict.fromkeys(("startedAt", "endedAt"), (int, _NONE)),
}
_ATTEMPT: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("number", "endedAt"), (int,)),
    "retryIn": (int, _NONE),
}


def check_result(body: Mapping[str, Any]) -> None:
    """
    Refuse what is no answer about a run's result.

    Raises:
        ValueError: If it is none; the message names the place.
    """
    _check(body, _RESULT, "")
    _check_error(body, "")


def check_line(body: Any, place: str = "") -> None:
    """Refuse what is no run of a page; raises as `check_result`."""
    _check(body, _RUN, place)
    _check_error(body, place)


def check_run(body: Mapping[str, Any]) -> None:
    """Refuse what is no run with its steps and attempts; raises as `check_result`."""
    check_line(body)
    _check(body, {"steps": (list,), "attempts": (list,)}, "")
    for index, step in enumerate(body["steps"]):
        _check(step, _STEP, f"steps[{index}].")
        if step["kind"] not in CheckpointKind.__members__.values():
            msg = f"steps[{index}].kind is {step['kind'][:40]!r}"
            raise ValueError(msg)
    for index, attempt in enumerate(body["attempts"]):
        _check(attempt, _ATTEMPT, f"attempts[{index}].")
        _check(attempt["error"], _ERROR, f"attempts[{index}].error.")


def check_page(body: Mapping[str, Any], before: int | None) -> None:
    """Refuse what is no page of runs, or none that comes nearer to an end than *before*."""
    _check(body, {"runs": (list,), "next": (int, _NONE)}, "")
    for index, run in enumerate(body["runs"]):
        check_line(run, f"runs[{index}].")
    following = body["next"]
    if following is not None and before is not None and following >= before:
        msg = f"next is {following}, no earlier than {before}"
        raise ValueError(msg)


def _check(body: Any, shape: Mapping[str, tuple[type, ...]], place: str) -> None:
    if not isinstance(body, dict):
        msg = f"{place.rstrip('.') or 'it'} is no object"
        raise ValueError(msg)
    for name, kinds in shape.items():
        value = body.get(name)
        is_fine = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_fine or (isinstance(value, int) and abs(value) > _LAST_MOMENT):
            msg = f"{place}{name} is missing or wrong"
            raise ValueError(msg)


def _check_error(body: Mapping[str, Any], place: str) -> None:
    if body.get("error") is not None:
        _check(body["error"], _ERROR, f"{place}error.")


def run_of(run: Mapping[str, Any]) -> Run:
    """
    Return a run of the API's JSON: of a page, of `show`, or of `result`.

    What that JSON does not have stays empty: a page has no input and no result.
    """
    status = status_of(run)
    return Run(
        id=run["id"],
        workflow=run.get("workflow", ""),
        status=status,
        data=json.dumps(run.get("data")),
        attempt=run.get("attempt", 0),
        due=run.get("dueAt") or 0,
        priority=run.get("priority", 0),
        created=run.get("createdAt", 0),
        started=run.get("startedAt"),
        ended=run.get("endedAt"),
        result=json.dumps(run.get("result")) if status is RunStatus.COMPLETED else None,
        failure=failure_of(run["error"]) if run.get("error") else None,
    )


def details_of(run: Mapping[str, Any]) -> RunDetails:
    """Return the run in the JSON of `schemas/run.schema.json`."""
    attempts = tuple(
        Attempt(each["number"], each["endedAt"], failure_of(each["error"]), each["retryIn"])
        for each in run["attempts"]
    )
    return RunDetails(run_of(run), tuple(map(_checkpoint, run["steps"])), attempts)


def _checkpoint(step: Mapping[str, Any]) -> Checkpoint:
    part = next((name for name in ("value", "error") if name in step), None)
    return Checkpoint(
        step["id"],
        CheckpointKind(step["kind"]),
        None if part is None else json.dumps({part: step[part]}),
        step.get("startedAt") or 0,
        step.get("endedAt") or 0,
    )


def failure_of(error: Mapping[str, Any]) -> Failure:
    """Return the error in that JSON."""
    return Failure(
        error["type"],
        error["message"],
        error.get("traceback", ""),
        error.get("stepId"),
        error.get("code"),
    )


def status_of(run: Mapping[str, Any]) -> RunStatus:
    """Return the status in that JSON; `unknown` for one that this client does not know."""
    text = run["status"]
    known = text in RunStatus.__members__.values()
    return RunStatus(text) if known else RunStatus.UNKNOWN
