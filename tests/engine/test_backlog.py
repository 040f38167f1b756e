"""What is found on the file is taken up when it is due, a page at a time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.reader import Reader

from .conftest import START, FakeClock, Open, event, flow

MANY = 25


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.engine.backlog.PAGE", 4)


async def nothing(input: Any, context: Any) -> None:
    await context.step.run("only", str)


async def left_behind(start: Open, *dues: int) -> list[str]:
    engine = await start(flow(nothing))
    ids = [(await engine.submit(event(due=START + due))).id for due in dues]
    await engine.close()
    return ids


async def test_only_what_is_due_is_read_and_the_rest_when_its_time_comes(start: Open) -> None:
    ids = await left_behind(start, *(1000 * number for number in range(1, MANY + 1)))
    clock = FakeClock(START + 2000)
    engine = await start(flow(nothing), clock=clock)
    await engine.idle()
    assert [engine.get(each).status for each in ids[:3]] == ["completed", "completed", "queued"]
    assert len(engine._loop.live) == 2, "of the page that was read"
    assert clock.next_due() == START + 3000
    for _ in range(MANY):
        clock.advance(1000)
        await engine.idle()
    assert {engine.get(each).status for each in ids} == {RunStatus.COMPLETED}


async def test_many_that_are_due_all_come_to_their_end(start: Open) -> None:
    ids = await left_behind(start, *(number % 3 for number in range(1, MANY + 1)))
    engine = await start(flow(nothing), clock=FakeClock(START + 60_000), concurrency=3)
    await asyncio.wait_for(engine.idle(), 50)
    assert {engine.get(each).status for each in ids} == {RunStatus.COMPLETED}


async def test_where_waits_are_skipped_all_is_due(start: Open) -> None:
    ids = await left_behind(start, *(1000 * number for number in range(1, MANY + 1)))
    engine = await start(flow(nothing), fast=True)
    await asyncio.wait_for(engine.idle(), 50)
    assert {engine.get(each).status for each in ids} == {RunStatus.COMPLETED}


async def test_what_is_not_read_yet_can_be_waited_for_stopped_and_is_then_left_alone(
    start: Open,
) -> None:
    ids = await left_behind(start, *(1000 * number for number in range(1, MANY + 1)))
    clock = FakeClock(START)
    engine = await start(flow(nothing), clock=clock)
    waiting = asyncio.create_task(engine.wait(ids[-1]))
    assert await engine.stop(ids[10])
    clock.advance(1000 * MANY)
    assert (await asyncio.wait_for(waiting, 50)).status is RunStatus.COMPLETED
    await asyncio.wait_for(engine.idle(), 50)
    statuses = [engine.get(each).status for each in ids]
    assert statuses.pop(10) is RunStatus.CANCELLED
    assert set(statuses) == {RunStatus.COMPLETED}


async def test_another_engine_may_have_the_driver_take_up_all(start: Open, path: Path) -> None:
    ids = await left_behind(start, *range(1, MANY + 1))
    clock = FakeClock(START + 60_000)
    driver = await start(flow(nothing), clock=clock, resume=())
    await driver.wait((await driver.submit(event())).id)
    assert driver.get(ids[0]).status is RunStatus.QUEUED
    other = await start(flow(nothing), clock=clock)
    await asyncio.wait_for(asyncio.gather(*map(other.wait, ids)), 50)
    await asyncio.wait_for(driver.idle(), 50)
    reader = Reader(path)
    while reader.requests():
        await asyncio.sleep(0.02)
    reader.close()
    assert driver.is_driver
    assert not other.is_driver


async def test_what_the_driver_does_not_know_is_taken_up_by_who_resumes_all(start: Open) -> None:
    ids = await left_behind(start, *range(1, 10))
    clock = FakeClock(START + 60_000)
    driver = await start(flow(nothing, "other"), clock=clock, resume=())
    await driver.wait((await driver.submit(event("other"))).id)
    app = await start(flow(nothing), clock=clock)
    ended = await asyncio.wait_for(asyncio.gather(*map(app.wait, ids)), 50)
    assert {each.status for each in ended} == {RunStatus.COMPLETED}
    assert not app.is_driver
