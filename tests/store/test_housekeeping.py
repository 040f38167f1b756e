"""Forgetting many runs at once, and the room they took."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.model.errors import StoreError
from kit.model.event import Event, derived_id
from kit.model.run import RunStatus
from kit.model.workflow import Workflow
from kit.store.sqlite.housekeeping import Ended, count_ended, delete_ended
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.schema import connect


def fill(path: Path, number: int, data: str = '"x"', ended: int = 5) -> None:
    sqlite = connect(path, synchronous="OFF")
    sqlite.execute("BEGIN")
    rows = ((f"{n:06}", "completed" if n % 10 else "failed", data, n, ended) for n in range(number))
    sqlite.executemany(
        "INSERT INTO runs"
        " (id, workflow, status, data, attempt, due, priority, created, ended, chain)"
        " VALUES (?, 'flow', ?, ?, 0, 0, 0, ?, ?, '[]')",
        rows,
    )
    sqlite.execute(
        "INSERT INTO checkpoints SELECT id, 'a', 0, 'step', '{\"value\":1}', 1, 2 FROM runs"
    )
    sqlite.execute(
        "INSERT INTO runs SELECT 'open', workflow, 'queued', data, 0, 0, 0, 0, NULL, NULL,"
        " NULL, NULL, '[]', NULL, NULL, NULL FROM runs LIMIT 1"
    )
    sqlite.execute("COMMIT")
    sqlite.close()


def test_what_has_ended_is_forgotten_and_the_file_shrinks(path: Path) -> None:
    fill(path, 12_000, data=f'"{"x" * 200}"')
    before = path.stat().st_size
    assert count_ended(path, Ended()) == 12_000
    assert len(delete_ended(path, Ended())) == 12_000
    reader = Reader(path)
    assert [run.id for run in reader.runs()] == ["open"]
    assert reader.checkpoints("000001") == {}
    reader.close()
    assert path.stat().st_size < before / 10
    assert delete_ended(path, Ended()) == []


def test_some_are_chosen_by_how_and_when_they_ended(path: Path) -> None:
    fill(path, 20)
    assert count_ended(path, Ended([RunStatus.FAILED])) == 2
    assert delete_ended(path, Ended([RunStatus.FAILED])) == ["000000", "000010"]
    assert delete_ended(path, Ended(before=5)) == []
    assert len(delete_ended(path, Ended(before=6))) == 18


def test_a_file_that_cannot_be_written_is_told(path: Path) -> None:
    fill(path, 1)
    other = sqlite3.connect(path)
    other.execute("DROP TABLE attempts")
    other.close()
    with pytest.raises(StoreError, match="no such table"):
        delete_ended(path, Ended())


async def test_an_engine_forgets_what_is_past_its_retention(path: Path) -> None:
    fill(path, 20)
    flow: Workflow[..., Any] = Workflow(lambda: None, name="flow")
    async with Engine(path, {"flow": flow}.get, resume=(), retention=60_000) as engine:
        assert len(engine._store.reader.runs()) == 21, "it drives nothing, so it deletes nothing"
    async with Engine(path, {"flow": flow}.get, retention=60_000) as engine:
        run = await engine.submit(Event("flow", None, derived_id("new")))
        await engine.wait(run.id)
        for _ in range(5000):
            if len(engine._store.reader.runs()) == 2:
                break
            await asyncio.sleep(0.01)
        assert {each.id for each in engine._store.reader.runs()} == {"open", run.id}


async def test_so_does_one_that_begins_to_drive_later(path: Path) -> None:
    fill(path, 20)
    flow: Workflow[..., Any] = Workflow(lambda: None, name="flow")
    async with Engine(path, {"flow": flow}.get, resume=(), retention=60_000) as engine:
        await asyncio.sleep(0)
        run = await engine.submit(Event("flow", None, derived_id("later")))
        await engine.wait(run.id)
        while len(engine._store.reader.runs()) > 2:
            await asyncio.sleep(0.01)
        assert engine.get(run.id).status is RunStatus.COMPLETED
