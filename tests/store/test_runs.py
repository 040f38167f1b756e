import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import RunNotFoundError, StoreError
from kit.model.failure import Failure
from kit.model.run import Attempt, RunStatus
from kit.store.sqlite.direct import cancel, delete, request_stop
from kit.store.sqlite.reader import Reader, RunRequest
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.statements import Ask
from kit.store.sqlite.writer import Writer
from tests.support.stored import Stored

from .conftest import ID, a_run


@pytest.fixture
async def foreign() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def store(path: Path, foreign: asyncio.Event) -> AsyncIterator[RunStore]:
    store = RunStore(path, durability="full", on_foreign=foreign.set)
    yield store
    await store.close()


async def test_what_is_stored_is_read_back_as_it_was(store: RunStore) -> None:
    run = a_run(priority=3, due=5, created=1, chain=("a", "b"), key="mine")
    failure = Failure("LookupError", "no", "trace", "step", "CODE")
    attempt = Attempt(0, 9, failure, None)
    kept = [
        Checkpoint("a", CheckpointKind.STEP, '{"value":1}', 1, 2, 0),
        Checkpoint("b", CheckpointKind.SLEEP, None, 2, 3, 2),
        Checkpoint("c", CheckpointKind.SLEEP, None, 2, 7),  # which is not over
    ]
    assert await store.insert(run) == 1
    assert store.reader.get(ID) == run
    store.begin(ID, 2)
    ended = run._replace(status=RunStatus.FAILED, started=2, ended=9, failure=failure)
    await store.end(ended, kept, attempt=attempt)
    assert store.reader.find(ID) == ended
    assert list(store.reader.checkpoints(ID).values()) == kept
    assert store.reader.attempts(ID) == [attempt]
    assert store.reader.unfinished() == []


async def test_a_run_of_a_known_id_is_not_stored_again(store: RunStore) -> None:
    assert await store.insert(a_run()) == 1
    assert await store.insert(a_run(status=RunStatus.RUNNING)) == 0
    assert store.reader.get(ID).status is RunStatus.QUEUED


async def test_runs_are_listed_newest_first_and_by_status(store: RunStore) -> None:
    runs = [a_run(f"{n}", RunStatus(s), created=n) for n, s in enumerate(["queued", "failed"])]
    for run in runs:
        await store.insert(run)
    assert store.reader.runs() == runs[::-1]
    assert store.reader.runs(limit=1) == runs[1:]
    assert store.reader.runs(statuses=[RunStatus.QUEUED]) == runs[:1]


async def test_an_id_may_be_cut_where_it_is_still_the_only_one(store: RunStore) -> None:
    for each in ("abc1", "abc2", "abd", "ab"):
        await store.insert(a_run(each))
    assert store.reader.get("abd").id == "abd"
    assert store.reader.get("ab").id == "ab"
    with pytest.raises(RunNotFoundError, match="several runs"):
        store.reader.get("abc")
    with pytest.raises(RunNotFoundError, match="no run 'x'"):
        store.reader.get("x")


async def test_news_nobody_waits_for_is_written_all_the_same(store: RunStore) -> None:
    await store.insert(a_run())
    store.begin(ID, 7)
    for _ in range(5000):
        if store.reader.get(ID).started == 7:
            break
        await asyncio.sleep(0.01)
    assert store.reader.get(ID).status is RunStatus.RUNNING


async def test_what_was_written_before_closing_is_kept(path: Path) -> None:
    store = RunStore(path, durability="normal", on_foreign=lambda: None)
    store.insert(a_run())
    store.begin(ID, 7)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="was closed"):
        await store.insert(a_run("late"))
    store.begin(ID, 8)
    await asyncio.sleep(0.06)
    reader = Reader(path)
    assert [(run.id, run.started) for run in reader.runs()] == [(ID, 7)]
    reader.close()


async def test_a_write_that_fails_takes_no_other_with_it(store: RunStore) -> None:
    await store.insert(a_run("first"))
    store.begin("first", 3)
    bad = store.insert(a_run("bad", key="\ud800"))  # which SQLite cannot bind
    good = store.insert(a_run("good"))
    with pytest.raises(StoreError, match="surrogates"):
        await bad
    assert await good == 1
    assert {run.id: run.started for run in store.reader.runs()} == {"first": 3, "good": None}
    with pytest.raises(StoreError, match="surrogates"):
        await store.insert(a_run("bad", key="\ud800"))
    assert await store.insert(a_run("next")) == 1


async def test_a_writer_whose_loop_has_gone_ends_quietly(path: Path) -> None:
    def life() -> None:
        loop = asyncio.new_event_loop()
        writer = Writer(path, synchronous="NORMAL", loop=loop, on_foreign=lambda: None)
        writer.write(("DELETE FROM requests", ()))
        loop.close()
        asyncio.run(writer.close())

    await asyncio.to_thread(life)


async def test_a_write_of_another_process_is_noticed(
    store: RunStore, path: Path, foreign: asyncio.Event
) -> None:
    await store.insert(a_run())
    store.watch(0.01)
    assert await asyncio.to_thread(request_stop, path, ID, 1)
    await foreign.wait()
    assert store.reader.requests() == [RunRequest(ID, "stop")]
    store.answer(ID, "stop")
    await store.close()
    assert Stored(path).requests() == []


async def test_only_what_has_not_ended_is_asked_to_stop_and_only_once(store: RunStore) -> None:
    assert await store.request_stop(ID, 1) == 0
    await store.insert(a_run())
    assert await store.request_stop(ID, 1) == 1
    assert await store.request_stop(ID, 1) == 0
    await store.end(a_run(status=RunStatus.CANCELLED, ended=3), ())
    assert store.reader.requests() == []
    assert await store.request_stop(ID, 1) == 0


async def test_a_run_is_stored_together_with_whom_to_ask_to_execute_it(store: RunStore) -> None:
    ask = Ask("driver", fast=True)
    assert await store.insert(a_run(), ask=ask) == 1
    assert store.reader.requests() == [RunRequest(ID, "drive", "driver", 1)]
    assert await store.insert(a_run(), ask=Ask("other")) == 0
    assert store.reader.requests() == [RunRequest(ID, "drive", "driver", 1)]
    await store.register(0, "next", 5, False)
    assert store.reader.requests() == [], "what a driver was asked is not heard by the next"
    assert store.reader.driver() == "next"


async def test_a_run_is_claimed_only_while_the_driver_refuses_it(store: RunStore) -> None:
    await store.insert(a_run())
    await store.register(0, "driver", 5, False)
    assert await store.claim(ID, "me", before=None, refused_by="another") == 0
    assert await store.claim(ID, "me", before="them", refused_by="driver") == 0
    assert await store.claim(ID, "me", before=None, refused_by="driver") == 1
    assert [each.driver for each in store.reader.left()] == ["me"]


async def test_an_ended_run_and_all_that_is_stored_of_it_can_be_deleted(
    store: RunStore, path: Path
) -> None:
    await store.insert(a_run())
    await store.commit(ID, [Checkpoint("a", sequence=0)])
    assert not await asyncio.to_thread(delete, path, ID)
    assert list(store.reader.checkpoints(ID)) == ["a"]
    assert await asyncio.to_thread(cancel, path, ID, 5)
    assert not await asyncio.to_thread(cancel, path, ID, 6)
    assert store.reader.get(ID).ended == 5
    assert await asyncio.to_thread(delete, path, ID)
    assert store.reader.checkpoints(ID) == {}
    assert store.reader.find(ID) is None


async def test_only_an_ended_run_is_queued_again(store: RunStore) -> None:
    await store.insert(a_run())
    await store.commit(ID, [Checkpoint("a", sequence=0), Checkpoint("b", sequence=1)])
    assert await store.queue_again(ID, 9, from_start=True) == 0
    assert list(store.reader.checkpoints(ID)) == ["a", "b"]
    await store.end(a_run(status=RunStatus.COMPLETED, result="1", ended=3), ())
    assert await store.queue_again(ID, 9, from_start=False) == 1
    assert store.reader.get(ID) == a_run(due=9)
    assert list(store.reader.checkpoints(ID)) == ["a", "b"]
    await store.end(a_run(status=RunStatus.FAILED, ended=3), ())
    assert await store.queue_again(ID, 9, from_start=True) == 1
    assert store.reader.checkpoints(ID) == {}
    assert await store.queue_again("nobody", 9, from_start=False) == 0


async def test_what_is_forgotten_goes_with_what_is_stored_next(store: RunStore) -> None:
    kept = [Checkpoint(each, sequence=n) for n, each in enumerate("abc")]
    asleep = Checkpoint("nap", CheckpointKind.SLEEP, None, 1, 9)
    await store.insert(a_run())
    await store.commit(ID, kept)
    sleeping = a_run(status=RunStatus.SLEEPING)
    await store.wait(sleeping, [], ["b"], asleep=[asleep])
    assert list(store.reader.checkpoints(ID).values()) == [kept[0], kept[2], asleep]
    await store.wait(sleeping, [], asleep=None)
    assert "nap" in store.reader.checkpoints(ID)
    await store.wait(sleeping, [], asleep=[])
    assert list(store.reader.checkpoints(ID)) == ["a", "c"]
    await store.end(a_run(status=RunStatus.FAILED), [], ["a", "c"])
    assert store.reader.checkpoints(ID) == {}


async def test_an_answer_nobody_waits_for_any_more_is_dropped(store: RunStore) -> None:
    storing = store.insert(a_run())
    storing.cancel()
    await store.insert(a_run("next"))
    assert store.reader.find(ID) is not None


async def test_a_disk_that_fails_while_it_is_watched_is_told_by_the_next_write(
    path: Path,
) -> None:
    store = RunStore(path, durability="normal", on_foreign=lambda: None)
    store._writer._connection.close()
    with pytest.raises(StoreError, match="closed database"):
        await store.insert(a_run())
    await store.close()
