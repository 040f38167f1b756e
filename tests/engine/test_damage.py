"""One damaged run is nobody's trouble but its own: the file opens, and the others go on."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kit.model.errors import StoreError
from kit.model.run import RunStatus
from kit.store.sqlite.reader import Reader

from .conftest import START, FakeClock, Open, event, flow

DAMAGES = {
    "status": "UPDATE runs SET status = 'lost'",
    "data": "UPDATE runs SET data = '{'",
    "deep data": "UPDATE runs SET data = replace(hex(zeroblob(50000)), '00', '[')",
    "chain": "UPDATE runs SET chain = '{'",
    "chain of numbers": "UPDATE runs SET chain = '[1]'",
    "priority": "UPDATE runs SET priority = 1000",
    "due": "UPDATE runs SET due = 'soon'",
    "name": "UPDATE runs SET workflow = ''",
    "failure": "UPDATE runs SET failure = '{\"no\": 1}'",
    "result": "UPDATE runs SET result = '}'",
    "id": "UPDATE runs SET id = 'mine'",
    "bytes": "UPDATE runs SET data = x'ff'",
}
DAMAGES_OF_STEPS = {
    "kind": "UPDATE checkpoints SET kind = 'dance'",
    "text": "UPDATE checkpoints SET text = '{'",
}


def spoil(path: Path, statement: str, run_id: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        column = "run_id" if "checkpoints" in statement else "id"
        changed = connection.execute(f"{statement} WHERE {column} = ?", (run_id,)).rowcount
    connection.close()
    assert changed


async def two_steps(input: Any, context: Any) -> str:
    await context.step.run("first", str)
    await context.step.sleep("nap", 10)
    return "done"


@pytest.mark.parametrize("what", [*DAMAGES, *DAMAGES_OF_STEPS])
async def test_a_damaged_run_is_set_aside_and_the_others_go_on(
    start: Open, path: Path, what: str
) -> None:
    engine = await start(flow(two_steps))
    spoilt, sound = await engine.submit(event()), await engine.submit(event())
    await engine.idle()
    await engine.close()
    spoil(path, (DAMAGES | DAMAGES_OF_STEPS)[what], spoilt.id)
    spoilt_id = "mine" if what == "id" else spoilt.id
    engine = await start(flow(two_steps), clock=FakeClock(START + 20_000))
    assert (await engine.wait(sound.id)).status is RunStatus.COMPLETED
    with pytest.raises(StoreError, match="damaged") as caught:
        await engine.wait(spoilt_id)
    assert caught.value.code == "RUN_DAMAGED"
    assert spoilt_id in caught.value.message
    more = await engine.submit(event())
    await engine.idle()
    assert engine.get(more.id).status is RunStatus.SLEEPING
    reader = Reader(path)
    assert {run.id for run in reader.runs()} == {spoilt_id, sound.id, more.id}
    if what in DAMAGES and what != "id":
        assert reader.get(spoilt_id).status is RunStatus.UNKNOWN
    reader.close()


async def test_who_waits_for_a_run_that_is_found_damaged_is_told(start: Open, path: Path) -> None:
    driver = await start(flow(two_steps))
    other = await start(flow(two_steps), resume=())
    run = await other.submit(event(due=START + 1000))
    waiting = asyncio.create_task(other.wait(run.id))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(spoil, path, DAMAGES["chain"], run.id)
    with pytest.raises(StoreError, match="damaged"):
        await asyncio.wait_for(waiting, 50)
    await driver.close()


async def test_a_damaged_checkpoint_is_told_once_and_its_run_tried_no_more(
    start: Open, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await start(flow(two_steps))
    spoilt, dead = await engine.submit(event()), await engine.submit(event())
    await engine.idle()
    await engine.stop(dead.id)
    for run in (spoilt, dead):
        spoil(path, DAMAGES_OF_STEPS["text"], run.id)
    await engine.close()
    engine = await start(flow(two_steps), clock=FakeClock(START + 20_000))
    for _ in range(3):
        with pytest.raises(StoreError, match="damaged"):
            await engine.wait(spoilt.id)
    with pytest.raises(StoreError, match="damaged"):
        await engine.retry(dead.id)
    assert len([each for each in caplog.records if "set aside" in each.message]) == 1
    assert engine.get(dead.id).status is RunStatus.CANCELLED
    assert not (await engine.retry(dead.id, from_start=True)).status.is_final


async def test_who_waits_elsewhere_for_a_run_with_a_damaged_checkpoint_is_told(
    start: Open, path: Path
) -> None:
    engine = await start(flow(two_steps))
    run = await engine.submit(event())
    await engine.idle()
    await engine.close()
    spoil(path, DAMAGES_OF_STEPS["kind"], run.id)
    clock = FakeClock(START + 20_000)
    await start(flow(two_steps), clock=clock)
    other = await start(flow(two_steps), resume=(), clock=clock)
    with pytest.raises(StoreError, match="damaged"):
        await asyncio.wait_for(other.wait(run.id), 50)


async def test_what_is_damaged_does_not_count_as_unfinished(start: Open, path: Path) -> None:
    engine = await start(flow(two_steps))
    runs = [await engine.submit(event()) for _ in range(4)]
    await engine.idle()
    await engine.close()
    spoil(path, DAMAGES["chain"], runs[0].id)
    spoil(path, DAMAGES_OF_STEPS["text"], runs[1].id)
    spoil(path, DAMAGES_OF_STEPS["kind"], runs[2].id)
    reader = Reader(path)
    assert reader.count_unfinished() == (1, 3)
    reader.close()
