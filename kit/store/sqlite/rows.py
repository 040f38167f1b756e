"""Records to rows, and rows to records."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from kit.model.delivery import Checkpoint, CheckpointKind
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
    """Return the run that a row in the order of `RUN_COLUMNS` holds."""
    (run_id, workflow, status, data, attempt, due, priority, created, started, ended) = row[:10]
    result, failure, chain, key = row[10:]
    return Run(
        id=run_id,
        workflow=workflow,
        status=RunStatus(status),
        data=data,
        attempt=attempt,
        due=due,
        priority=priority,
        created=created,
        started=started,
        ended=ended,
        result=result,
        failure=text_to_failure(failure),
        chain=tuple(json.loads(chain)),
        key=key,
    )


def failure_to_text(failure: Failure | None) -> str | None:
    """Return *failure* as JSON text."""
    return None if failure is None else json.dumps(asdict(failure))


def text_to_failure(text: str | None) -> Failure | None:
    """Return the failure in a JSON text."""
    return None if text is None else Failure(**json.loads(text))


def checkpoint_to_row(run_id: str, each: Checkpoint) -> tuple[Any, ...]:
    """Return *each* as `run_id, step_id, seq, kind, text, started, ended`."""
    number = ASLEEP if each.sequence is None else each.sequence
    return (run_id, each.step_id, number, each.kind.value, each.text, each.started, each.ended)


def row_to_checkpoint(row: tuple[Any, ...]) -> Checkpoint:
    """Return the checkpoint in `step_id, kind, text, started, ended, seq`."""
    number = None if row[5] == ASLEEP else row[5]
    return Checkpoint(row[0], CheckpointKind(row[1]), row[2], row[3], row[4], number)


def row_to_attempt(row: tuple[Any, ...]) -> Attempt:
    """Return the attempt in `number, ended, failure, retry_in`."""
    failure = text_to_failure(row[2])
    assert failure is not None  # noqa: S101 - the column is NOT NULL
    return Attempt(row[0], row[1], failure, row[3])
