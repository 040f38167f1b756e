"""Runs are deleted when they have been over for long enough, from when an engine drives."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kit.engine.retention import Retention
from kit.store.sqlite.schema import connect
from tests.support.stored import Stored

KEPT = 2000


@pytest.fixture(autouse=True)
def _again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.engine.retention.EVERY_SECONDS", 0.001)


def store(path: Path, **ended: int) -> None:
    """Store runs that ended at some moment, by their ids."""
    with closing(connect(path, synchronous="OFF")) as sqlite:
        sqlite.executemany(
            "INSERT INTO runs"
            " (id, workflow, status, data, attempt, due, priority, created, ended, chain)"
            " VALUES (?, 'flow', 'completed', 'null', 0, 0, 0, 0, ?, '[]')",
            ended.items(),
        )


def runs(path: Path) -> set[str]:
    return {run.id for run in Stored(path).runs()}


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def test_what_ended_longer_ago_goes_and_what_ended_since_goes_when_its_time_has_come(
    path: Path,
) -> None:
    store(path, old=1000, recent=5000)
    now = 6000
    retention = Retention(path, KEPT, lambda: now)
    retention.begin()
    await until(lambda: runs(path) == {"recent"})
    now = 5000 + KEPT + 1
    await until(lambda: runs(path) == set())
    await retention.close()


async def test_nothing_is_deleted_before_it_begins_or_where_all_is_kept(path: Path) -> None:
    store(path, old=1000)
    waits, keeps = Retention(path, KEPT, lambda: 9000), Retention(path, None, lambda: 9000)
    keeps.begin()
    await asyncio.sleep(0.02)
    assert runs(path) == {"old"}
    waits.begin()
    waits.begin()
    await until(lambda: runs(path) == set())
    await waits.close()
    await keeps.close()


async def test_a_file_that_cannot_be_read_is_told_and_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"no run file" * 100)
    retention = Retention(path, KEPT, lambda: 9000)
    retention.begin()
    await until(lambda: len(caplog.records) > 1)
    await retention.close()

    assert "runs past their retention were not deleted" in caplog.text
