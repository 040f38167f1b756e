"""Records to rows, and rows to records."""

from __future__ import annotations

import json
from typing import Any

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.event import check_name, check_priority
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus

RUN_COLUMNS = (
    "id, workflow, status, data, attempt, due, priority, created, started, ended,"
    " result, failure, chain, key"
)


ASLEEP = -1
"""The number of a sleep that is not over: it gets its place when it is."""


def run_to_row(run: Run) -> tuple[Any, ...]:
    """Return *run* in the order of `RUN_COLUMNS`."""
    return (
        run.id,
        run.workflow,
        run.status.value,
        run.data,
        run.attempt,
        run.due,
        run.priority,
        run.created,
        run.started,
        run.ended,
        run.result,
        failure_to_text(run.failure),
        json.dumps(run.chain) if run.chain else "[]",
        run.key,
    )


def row_to_run(row: tuple[Any, ...]) -> Run:
    """
    Return the run that a row in the order of `RUN_COLUMNS` holds.

    One that makes no sense is in status `unknown`, and its failure says what is wrong with it:
    a damaged run is nobody's trouble but its own.
    """
    try:
        return _run_of(row)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        created = row[7] if isinstance(row[7], int) else 0
        run = Run(str(row[0]), str(row[1]), RunStatus.UNKNOWN, "null", created=created)
        return run._replace(failure=damage(run.id, error))


def damage(run_id: str, error: Exception) -> Failure:
    """Return what is to be said of a run whose rows make no sense."""
    msg = (
        f"what is stored of run {run_id} is damaged ({error}), so it is left as it is; repair the"
        " file, or forget the run: kit runs stop, then kit runs delete"
    )
    return Failure("DamagedRun", msg, code=DAMAGED)


DAMAGED = "RUN_DAMAGED"
"""The code of errors about a run whose rows make no sense."""


def _run_of(row: tuple[Any, ...]) -> Run:
    (run_id, workflow, status, data, attempt, due, priority, created, started, ended) = row[:10]
    result, failure, chain, key = row[10:]
    for number in (attempt, due, created, started or 0, ended or 0):
        if type(number) is not int:
            msg = f"{number!r} is no number"
            raise ValueError(msg)
    json.loads(data)
    if result is not None:
        json.loads(result)
    return Run(
        id=run_id,
        workflow=check_name(workflow),
        status=_status(status),
        data=data,
        attempt=attempt,
        due=due,
        priority=check_priority(priority),
        created=created,
        started=started,
        ended=ended,
        result=result,
        failure=text_to_failure(failure),
        chain=_chain(chain),
        key=key,
    )


def _status(text: str) -> RunStatus:
    status = RunStatus(text)
    if status is RunStatus.UNKNOWN:
        msg = f"{text!r} is no status of a stored run"
        raise ValueError(msg)
    return status


def _chain(text: str) -> tuple[str, ...]:
    if text == "[]":
        return ()
    chain = json.loads(text)
    if not isinstance(chain, list):
        msg = f"{text!r} is no chain of names"
        raise TypeError(msg)
    return tuple(check_name(each) for each in chain)


def failure_to_text(failure: Failure | None) -> str | None:
    """Return *failure* as JSON text."""
    return None if failure is None else json.dumps(failure._asdict())


def text_to_failure(text: str | None) -> Failure | None:
    """Return the failure in a JSON text."""
    return None if text is None else Failure(**json.loads(text))


def checkpoint_to_row(run_id: str, each: Checkpoint) -> tuple[Any, ...]:
    """Return *each* as `run_id, step_id, seq, kind, text, started, ended`."""
    step_id, kind, text, started, ended, number = each
    # `str` takes a fourth of the time of `value`
    return run_id, step_id, ASLEEP if number is None else number, str(kind), text, started, ended


def row_to_checkpoint(row: tuple[Any, ...]) -> Checkpoint:
    """Return the checkpoint in `step_id, kind, text, started, ended, seq`; raises `ValueError`."""
    number = None if row[5] == ASLEEP else row[5]
    return Checkpoint(row[0], CheckpointKind(row[1]), row[2], row[3], row[4], number)


def row_to_attempt(row: tuple[Any, ...]) -> Attempt:
    """Return the attempt in `number, ended, failure, retry_in`."""
    failure = text_to_failure(row[2])
    assert failure is not None  # noqa: S101 - the column is NOT NULL
    return Attempt(row[0], row[1], failure, row[3])
