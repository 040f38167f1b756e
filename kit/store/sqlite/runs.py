"""`RunStore`: what an engine writes about its runs; and the few writes made without one."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kit.model.delivery import Checkpoint
from kit.model.run import Attempt, Run
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.rows import (
    ASLEEP,
    RUN_COLUMNS,
    checkpoint_to_row,
    failure_to_text,
    run_to_row,
)
from kit.store.sqlite.schema import VERSION, connect, explain
from kit.store.sqlite.writer import Statement, Writer

Durability = Literal["full", "normal"]
"""`full` survives a power failure; `normal` a killed process, and is several times faster."""

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
_END = "UPDATE runs SET status = ?, ended = ?, result = ?, failure = ?, attempt = ? WHERE id = ?"
_WAIT = "UPDATE runs SET status = ?, due = ?, attempt = ? WHERE id = ?"
_BEGIN = "UPDATE runs SET status = 'running', started = coalesce(started, ?) WHERE id = ?"
_QUEUE_AGAIN = (
    "UPDATE runs SET status = 'queued', attempt = 0, due = ?, started = NULL, ended = NULL,"
    " result = NULL, failure = NULL, driver = NULL"
    " WHERE id = ? AND status NOT IN ('queued', 'running', 'sleeping')"
)
_IF_ENDED = (
    "EXISTS (SELECT 1 FROM runs WHERE id = ? AND status NOT IN ('queued', 'running', 'sleeping'))"
)
_ASK_FOR_ENDED = (
    "INSERT OR REPLACE INTO requests (run_id, what, at, driver, fast)"
    f" SELECT ?, 'drive', ?, ?, ? WHERE {_IF_ENDED}"
)
_FORGET = "DELETE FROM checkpoints WHERE run_id = ? AND step_id = ?"
_FORGET_ALL = f"DELETE FROM checkpoints WHERE run_id = ? AND {_IF_ENDED}"  # noqa: S608
_FORGET_ASLEEP = f"DELETE FROM checkpoints WHERE run_id = ? AND seq = {ASLEEP}"  # noqa: S608
_UNFINISHED = "status IN ('queued', 'running', 'sleeping')"
_ASK_FOR_NEW = (
    "INSERT OR REPLACE INTO requests (run_id, what, at, driver, fast) SELECT ?, 'drive', ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = ?)"
)
_ASK = (
    "INSERT OR REPLACE INTO requests (run_id, what, at, driver, fast)"  # noqa: S608
    f" SELECT id, 'drive', ?, ?, ? FROM runs WHERE {_UNFINISHED}"
    " AND id IN (SELECT value FROM json_each(?))"
)
_REFUSE = "INSERT OR REPLACE INTO requests (run_id, what, at, driver) VALUES (?, 'refused', ?, ?)"
_ASK_TO_STOP = (
    "INSERT OR IGNORE INTO requests (run_id, what, at)"  # noqa: S608
    f" SELECT id, 'stop', ? FROM runs WHERE id = ? AND {_UNFINISHED}"
)
_CANCEL = f"UPDATE runs SET status = 'cancelled', ended = ? WHERE id = ? AND {_UNFINISHED}"  # noqa: S608
_ANSWER_ALL = "DELETE FROM requests WHERE run_id = ?"
_CLAIM = (
    "UPDATE runs SET driver = ?"  # noqa: S608
    f" WHERE id = ? AND driver IS ? AND {_UNFINISHED}"
    " AND EXISTS (SELECT 1 FROM drivers WHERE lane = 0 AND token = ?)"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Whom to ask to execute a run: the driver with this token; and whether to skip its waits."""

    driver: str
    fast: bool = False


class RunStore:
    """
    The run file at *path*, open for one engine.

    Raises:
        StoreError: If the file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability,
        on_foreign: Callable[[], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self._writer = Writer(
            path,
            synchronous=durability.upper(),
            loop=asyncio.get_running_loop(),
            on_foreign=on_foreign,
            check=check,
        )
        self.reader = Reader(path)

    def probe(self) -> asyncio.Future[int]:
        """Write something that changes nothing; the future fails as any other write would."""
        return self._writer.write((f"PRAGMA user_version = {VERSION}", ()))

    def watch(self, seconds: float | None) -> None:
        """Look this often whether another process has written to the file; None: not at all."""
        self._writer.watch(seconds)

    def insert(
        self, run: Run, *, root: str | None = None, ask: Ask | None = None
    ) -> asyncio.Future[int]:
        """
        Store a new run, and with it whom to *ask* to execute it.

        *root* is the run it belongs to; None for itself. The future gives 0 if a run with its id
        exists, of which nothing is changed then.
        """
        insert = (_INSERT_RUN, (*run_to_row(run), root))
        if ask is None:
            return self._writer.write(insert)
        asking = (run.id, run.created, ask.driver, ask.fast, run.id)
        return self._writer.write((_ASK_FOR_NEW, asking), insert)

    def begin(self, run_id: str, now: int) -> None:
        """Note that an invocation of the run has begun."""
        self._writer.write_along((_BEGIN, (now, run_id)))

    def write_along(self, run_id: str, checkpoints: Sequence[Checkpoint]) -> None:
        """Store *checkpoints* with whatever is stored next, and before that."""
        for statement in _checkpoints(run_id, checkpoints):
            self._writer.write_along(statement)

    def commit(self, run_id: str, checkpoints: Sequence[Checkpoint]) -> asyncio.Future[int]:
        """Store *checkpoints*."""
        return self._writer.write(*_checkpoints(run_id, checkpoints))

    def wait(
        self,
        run: Run,
        checkpoints: Sequence[Checkpoint],
        forgotten: Sequence[str] = (),
        attempt: Attempt | None = None,
        *,
        asleep: Sequence[Checkpoint] | None = None,
    ) -> asyncio.Future[int]:
        """
        Store that the run goes on later, as *run* says, and the failed attempt before it.

        *asleep* are all the sleeps it is in; None leaves those that are stored as they are.
        """
        sleeps = [] if asleep is None else [(_FORGET_ASLEEP, (run.id,))]
        return self._writer.write(
            *_forgotten(run.id, forgotten),
            *sleeps,
            *_checkpoints(run.id, (*checkpoints, *(asleep or ()))),
            *_attempt(run.id, attempt),
            (_WAIT, (run.status.value, run.due, run.attempt, run.id)),
        )

    def end(
        self,
        run: Run,
        checkpoints: Sequence[Checkpoint],
        forgotten: Sequence[str] = (),
        attempt: Attempt | None = None,
        *,
        answered: bool = False,
    ) -> asyncio.Future[int]:
        """Store that the run has ended, as *run* says; with *answered*, as was requested."""
        failure = failure_to_text(run.failure)
        row = (run.status.value, run.ended, run.result, failure, run.attempt, run.id)
        answer = [(_ANSWER_ALL, (run.id,))] if answered else []
        return self._writer.write(
            *answer,
            *_forgotten(run.id, forgotten),
            *_checkpoints(run.id, checkpoints),
            *_attempt(run.id, attempt),
            (_END, row),
        )

    def cancel(self, run_id: str, now: int) -> asyncio.Future[int]:
        """Store that a run nobody executes is cancelled; the future gives 0 if it had ended."""
        return self._writer.write(*_cancelled(run_id, now))

    def request_stop(self, run_id: str, now: int) -> asyncio.Future[int]:
        """Ask whoever executes the run to stop it; 0 if it has ended, or was asked to before."""
        return self._writer.write((_ASK_TO_STOP, (now, run_id)))

    def answer(self, run_id: str, what: str) -> None:
        """Take back a request whose effect is seen, or that is void."""
        statement = ("DELETE FROM requests WHERE run_id = ? AND what = ?", (run_id, what))
        self._writer.write_along(statement)

    def register(self, lane: int, token: str, now: int, everything: bool) -> asyncio.Future[int]:
        """Store who drives in a *lane*; what was asked of the driver before is void then."""
        row = (lane, token, os.getpid(), everything, now)
        void = "DELETE FROM requests WHERE what IN ('drive', 'refused') AND driver IS NOT ?"
        statements: list[Statement] = [(void, (token,))] if lane == 0 else []
        insert = "INSERT OR REPLACE INTO drivers VALUES (?, ?, ?, ?, ?)"
        return self._writer.write(*statements, (insert, row))

    def request_drive(self, run_ids: Collection[str], ask: Ask, now: int) -> asyncio.Future[int]:
        """Ask for the unfinished among these runs to be executed."""
        row = (now, ask.driver, ask.fast, json.dumps(list(run_ids)))
        return self._writer.write((_ASK, row))

    def refuse(self, run_id: str, token: str, now: int) -> None:
        """Store that the driver with this token does not know the run's workflow."""
        refuse = (
            "INSERT OR REPLACE INTO requests (run_id, what, at, driver) VALUES (?, 'refused', ?, ?)"
        )
        self._writer.write_along((refuse, (run_id, now, token)))
        self.answer(run_id, "drive")

    def claim(
        self, run_id: str, token: str, *, before: str | None, refused_by: str
    ) -> asyncio.Future[int]:
        """
        Store that the engine with this *token* executes a run on the side.

        The future gives 0, and nothing is changed, unless it still belongs to *before*, and the
        driver is still the one that has refused it.
        """
        return self._writer.write((_CLAIM, (token, run_id, before, refused_by)))

    def queue_again(
        self, run_id: str, now: int, ask: Ask | None = None, *, from_start: bool
    ) -> asyncio.Future[int]:
        """
        Store that an ended run is to start again; with *from_start*, with nothing recorded.

        The future gives 0, and nothing is changed, if there is no such run or it has not ended.
        """
        return self._writer.write(*_again(run_id, now, ask, from_start=from_start))

    async def close(self) -> None:
        """Write what is left, and close the file."""
        self.reader.close()  # the last one that closes has to be able to write
        await self._writer.close()


def delete(path: Path, run_id: str) -> bool:
    """
    Delete an ended run and all that is stored of it; tell whether there was one.

    A run that has not ended is left alone: an engine may be at it.

    Raises:
        StoreError: If the file cannot be written.
    """
    tables = ("checkpoints", "attempts", "requests")
    both = (run_id, run_id)
    parts = [(f"DELETE FROM {each} WHERE run_id = ? AND {_IF_ENDED}", both) for each in tables]  # noqa: S608
    last = (f"DELETE FROM runs WHERE id = ? AND {_IF_ENDED}", both)  # noqa: S608
    return bool(_write_once(path, *parts, last))


def request_stop(path: Path, run_id: str, now: int) -> bool:
    """
    Ask whoever executes a run to stop it; tell whether it is unfinished, and was not asked before.

    Raises:
        StoreError: If the file cannot be written.
    """
    return bool(_write_once(path, (_ASK_TO_STOP, (now, run_id))))


def cancel(path: Path, run_id: str, now: int) -> bool:
    """
    Mark an unfinished run as cancelled, and tell whether there was one.

    Only for a file on which no engine runs; take the lease meanwhile.

    Raises:
        StoreError: If the file cannot be written.
    """
    return bool(_write_once(path, *_cancelled(run_id, now)))


def _write_once(path: Path, *statements: Statement) -> int:
    """Write *statements* together, and return how many rows the last one changed."""
    changed = 0
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for sql, parameters in statements:
            changed = connection.execute(sql, parameters).rowcount
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        connection.close()
    return changed


def _checkpoints(run_id: str, checkpoints: Sequence[Checkpoint]) -> list[Statement]:
    return [(_INSERT_CHECKPOINT, checkpoint_to_row(run_id, each)) for each in checkpoints]


def _forgotten(run_id: str, step_ids: Sequence[str]) -> list[Statement]:
    return [(_FORGET, (run_id, each)) for each in step_ids]


def _attempt(run_id: str, attempt: Attempt | None) -> list[Statement]:
    if attempt is None:
        return []
    failure = failure_to_text(attempt.failure)
    row = (run_id, attempt.number, attempt.ended, failure, attempt.retry_in)
    return [(_INSERT_ATTEMPT, row)]


def _cancelled(run_id: str, now: int) -> list[Statement]:
    return [(_ANSWER_ALL, (run_id,)), (_CANCEL, (now, run_id))]


def _again(run_id: str, now: int, ask: Ask | None, *, from_start: bool) -> list[Statement]:
    ended: list[Statement] = [(f"{_ANSWER_ALL} AND {_IF_ENDED}", (run_id, run_id))]
    if from_start:
        ended.append((_FORGET_ALL, (run_id, run_id)))
    if ask is not None:
        asking = (run_id, now, ask.driver, ask.fast, run_id)
        ended.append((_ASK_FOR_ENDED, asking))
    return [*ended, (_QUEUE_AGAIN, (now, run_id))]
