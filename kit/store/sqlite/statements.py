"""What is written of runs, as SQL: from values to statements that go together."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kit.model.delivery import Checkpoint
from kit.model.run import Attempt, Run, RunStatus
from kit.store.sqlite.rows import (
    ASLEEP,
    RUN_COLUMNS,
    checkpoint_to_row,
    failure_to_text,
    run_to_row,
)
from kit.store.sqlite.schema import UNFINISHED

Statement: TypeAlias = "tuple[str, Sequence[Any]]"

_IF_ENDED = f"EXISTS (SELECT 1 FROM runs WHERE id = ? AND NOT {UNFINISHED})"  # noqa: S608
_INSERT_RUN = (
    f"INSERT OR IGNORE INTO runs ({RUN_COLUMNS}, root)"  # noqa: S608
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_CHECKPOINT = (
    "INSERT OR REPLACE INTO checkpoints"
    " (run_id, step_id, seq, kind, text, started, ended) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ATTEMPT = (
    "INSERT INTO attempts (run_id, number, ended, failure, retry_in) VALUES (?, ?, ?, ?, ?)"
)
_BEGIN = "UPDATE runs SET status = 'running', started = coalesce(started, ?) WHERE id = ?"
_WAIT = "UPDATE runs SET status = ?, due = ?, attempt = ? WHERE id = ?"
_END = "UPDATE runs SET status = ?, ended = ?, result = ?, failure = ?, attempt = ? WHERE id = ?"
_END_UNLESS_STOPPED = (
    f"{_END} AND NOT EXISTS (SELECT 1 FROM requests WHERE run_id = ? AND what = 'stop')"  # noqa: S608
)
_CANCEL = f"UPDATE runs SET status = 'cancelled', ended = ? WHERE id = ? AND {UNFINISHED}"  # noqa: S608
_QUEUE_AGAIN = (
    "UPDATE runs SET status = 'queued', attempt = 0, due = ?, started = NULL, ended = NULL,"  # noqa: S608
    " result = NULL, failure = NULL, driver = NULL"
    f" WHERE id = ? AND NOT {UNFINISHED}"
)
_CLAIM = (
    "UPDATE runs SET driver = ?"  # noqa: S608
    f" WHERE id = ? AND driver IS ? AND {UNFINISHED}"
    " AND EXISTS (SELECT 1 FROM drivers WHERE lane = 0 AND token = ?)"
)
_FORGET = "DELETE FROM checkpoints WHERE run_id = ? AND step_id = ?"
_FORGET_ALL = f"DELETE FROM checkpoints WHERE run_id = ? AND {_IF_ENDED}"  # noqa: S608
_FORGET_ASLEEP = f"DELETE FROM checkpoints WHERE run_id = ? AND seq = {ASLEEP}"  # noqa: S608
_ASK = "INSERT OR REPLACE INTO requests (run_id, what, at, driver, fast)"
_ASK_FOR_NEW = (
    f"{_ASK} SELECT ?, 'drive', ?, ?, ?"  # noqa: S608
    " WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = ?)"
)
_ASK_FOR_ALL = f"{_ASK} VALUES (?, 'drive', ?, ?, ?)"
_ASK_FOR_ENDED = f"{_ASK} SELECT ?, 'drive', ?, ?, ? WHERE {_IF_ENDED}"
_ASK_FOR_UNFINISHED = (
    f"{_ASK} SELECT id, 'drive', ?, ?, ? FROM runs WHERE {UNFINISHED}"  # noqa: S608
    " AND id IN (SELECT value FROM json_each(?))"
)
_ASK_TO_STOP = (
    "INSERT OR IGNORE INTO requests (run_id, what, at)"  # noqa: S608
    f" SELECT id, 'stop', ? FROM runs WHERE id = ? AND {UNFINISHED}"
)
_REFUSE = "INSERT OR REPLACE INTO requests (run_id, what, at, driver) VALUES (?, 'refused', ?, ?)"
_ANSWER = "DELETE FROM requests WHERE run_id = ? AND what = ?"
_ANSWER_ALL = "DELETE FROM requests WHERE run_id = ?"
_VOID = "DELETE FROM requests WHERE what IN ('drive', 'refused') AND driver IS NOT ?"
_REGISTER = "INSERT OR REPLACE INTO drivers VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Ask:
    """Whom to ask to execute a run: the driver with this token; and whether to skip its waits."""

    driver: str
    fast: bool = False


def inserted(run: Run, root: str | None, ask: Ask | None) -> list[Statement]:
    """Store a new run, and whom to ask for it; nothing if its id is known."""
    insert = (_INSERT_RUN, (*run_to_row(run), root))
    if ask is None:
        return [insert]
    return [(_ASK_FOR_NEW, (run.id, run.created, ask.driver, ask.fast, run.id)), insert]


def begun(run_id: str, now: int) -> Statement:
    """Store that an invocation has begun."""
    return _BEGIN, (now, run_id)


def recorded(run_id: str, checkpoints: Sequence[Checkpoint]) -> list[Statement]:
    """Store checkpoints."""
    if len(checkpoints) == 1:  # as nearly always
        return [(_INSERT_CHECKPOINT, checkpoint_to_row(run_id, checkpoints[0]))]
    return [(_INSERT_CHECKPOINT, checkpoint_to_row(run_id, each)) for each in checkpoints]


def waiting(
    run: Run,
    checkpoints: Sequence[Checkpoint],
    forgotten: Sequence[str],
    attempt: Attempt | None,
    asleep: Sequence[Checkpoint] | None,
) -> list[Statement]:
    """Store that the run goes on later; *asleep* are its sleeps, None leaves them as they are."""
    return [
        *_forgotten(run.id, forgotten),
        *([] if asleep is None else [(_FORGET_ASLEEP, (run.id,))]),
        *recorded(run.id, (*checkpoints, *(asleep or ()))),
        *_failed(run.id, attempt),
        (_WAIT, (run.status.value, run.due, run.attempt, run.id)),
    ]


def moved(run: Run, asleep: Sequence[Checkpoint]) -> list[Statement]:
    """Store when a run goes on that waits, and its sleeps are over."""
    return [*recorded(run.id, asleep), (_WAIT, (run.status.value, run.due, run.attempt, run.id))]


def ended(
    run: Run,
    checkpoints: Sequence[Checkpoint],
    forgotten: Sequence[str],
    attempt: Attempt | None,
) -> list[Statement]:
    """
    Store that the run has ended: as cancelled, with all that is requested of it answered; or else,
    as the last of the statements, unless a stop was requested before.
    """
    failure = failure_to_text(run.failure)
    row = (run.status.value, run.ended, run.result, failure, run.attempt, run.id)
    so_far = [
        *_forgotten(run.id, forgotten),
        *recorded(run.id, checkpoints),
        *_failed(run.id, attempt),
    ]
    if run.status is RunStatus.CANCELLED:
        return [(_ANSWER_ALL, (run.id,)), *so_far, (_END, row)]
    return [*so_far, (_END_UNLESS_STOPPED, (*row, run.id))]


def cancelled(run_id: str, now: int) -> list[Statement]:
    """Store that an unfinished run is cancelled; nothing if it has ended."""
    return [(_ANSWER_ALL, (run_id,)), (_CANCEL, (now, run_id))]


def again(run_id: str, now: int, ask: Ask | None, *, from_start: bool) -> list[Statement]:
    """Store that an ended run starts again; nothing if it has not ended."""
    both = (run_id, run_id)
    statements: list[Statement] = [(f"{_ANSWER_ALL} AND {_IF_ENDED}", both)]
    if from_start:
        statements.append((_FORGET_ALL, both))
    if ask is not None:
        statements.append((_ASK_FOR_ENDED, (run_id, now, ask.driver, ask.fast, run_id)))
    return [*statements, (_QUEUE_AGAIN, (now, run_id))]


def deleted(run_id: str) -> list[Statement]:
    """Delete all that is stored of an ended run; nothing if it has not ended."""
    both = (run_id, run_id)
    tables = ("checkpoints", "attempts", "requests")
    parts = [(f"DELETE FROM {each} WHERE run_id = ? AND {_IF_ENDED}", both) for each in tables]  # noqa: S608
    return [*parts, (f"DELETE FROM runs WHERE id = ? AND {_IF_ENDED}", both)]  # noqa: S608


def stop_requested(run_id: str, now: int) -> Statement:
    """Ask for an unfinished run to be stopped; nothing if that was asked before."""
    return _ASK_TO_STOP, (now, run_id)


EVERYTHING = ""
"""Stands for the id of a run where every unfinished one is asked for."""


def drive_requested(run_ids: Collection[str] | None, ask: Ask, now: int) -> Statement:
    """Ask for the unfinished among these runs to be executed; None: all there are."""
    if run_ids is None:
        return _ASK_FOR_ALL, (EVERYTHING, now, ask.driver, ask.fast)
    return _ASK_FOR_UNFINISHED, (now, ask.driver, ask.fast, json.dumps(list(run_ids)))


def refused(run_id: str, token: str, now: int) -> list[Statement]:
    """Store that the driver with this token does not know the run's workflow."""
    return [(_REFUSE, (run_id, now, token)), answered(run_id, "drive")]


def answered(run_id: str, what: str) -> Statement:
    """Take back a request."""
    return _ANSWER, (run_id, what)


def claimed(run_id: str, token: str, before: str | None, refused_by: str) -> Statement:
    """Store who executes a run on the side, if it is still *before*'s and so refused."""
    return _CLAIM, (token, run_id, before, refused_by)


def registered(lane: int, token: str, now: int, *, everything: bool) -> list[Statement]:
    """Store who executes in a lane; what was asked of the driver before is void then."""
    void = [(_VOID, (token,))] if lane == 0 else []
    return [*void, (_REGISTER, (lane, token, os.getpid(), everything, now))]


def _forgotten(run_id: str, step_ids: Sequence[str]) -> list[Statement]:
    return [(_FORGET, (run_id, each)) for each in step_ids]


def _failed(run_id: str, attempt: Attempt | None) -> list[Statement]:
    if attempt is None:
        return []
    failure = failure_to_text(attempt.failure)
    return [(_INSERT_ATTEMPT, (run_id, attempt.number, attempt.ended, failure, attempt.retry_in))]
