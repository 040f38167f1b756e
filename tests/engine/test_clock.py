"""A clock that is set: what waits for some time waits that long, what has a date keeps it."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit.engine.clock import SystemClock
from kit.engine.engine import Engine
from kit.model.event import event_due
from kit.model.run import RunStatus

from .conftest import START, FakeClock, Gate, Open, event, flow, turns

HOUR = 3_600_000
SET = pytest.mark.parametrize("hours", [-1, 1, -24, 24 * 365])


async def naps(input: Any, context: Any) -> str:
    await context.step.sleep("nap", "30 seconds")
    return "awake"


async def sleeps_until(input: Any, context: Any) -> str:
    await context.step.sleep("nap", datetime.fromtimestamp((START + 30_000) / 1000, UTC))
    return "awake"


async def go_on(engine: Engine, clock: FakeClock, milliseconds: int) -> None:
    """Let time pass, as the machine's own clock has it: it looks twice a minute at the latest."""
    while milliseconds > 0:
        some = min(milliseconds, 30_000)
        milliseconds -= some
        clock.advance(some)
        engine._loop.pump()
        await engine.idle()


@SET
async def test_a_sleep_is_as_long_as_it_was_to_be(
    start: Open, clock: FakeClock, hours: int
) -> None:
    engine = await start(flow(naps))
    run = await engine.submit(event())
    await engine.idle()
    clock.advance(10_000)
    clock.put(hours * HOUR)
    await go_on(engine, clock, 19_999)
    assert engine.get(run.id).status is RunStatus.SLEEPING
    await go_on(engine, clock, 1)
    assert engine.get(run.id).status is RunStatus.COMPLETED


@SET
async def test_the_file_says_when_a_sleep_is_over_as_the_clock_has_it_now(
    start: Open, clock: FakeClock, hours: int
) -> None:
    engine = await start(flow(naps))
    run = await engine.submit(event())
    await engine.idle()
    clock.put(hours * HOUR)
    await go_on(engine, clock, 10_000)
    await engine.close()
    again = await start(flow(naps))
    assert again.get(run.id).due == clock.now() + 20_000
    await go_on(again, clock, 20_000)
    assert again.get(run.id).status is RunStatus.COMPLETED


async def test_a_sleep_until_a_date_ends_then(start: Open, clock: FakeClock) -> None:
    engine = await start(flow(sleeps_until))
    run = await engine.submit(event())
    await engine.idle()
    clock.put(-HOUR)
    await go_on(engine, clock, 60_000)
    assert engine.get(run.id).status is RunStatus.SLEEPING
    clock.put(2 * HOUR)
    await go_on(engine, clock, 30_000)
    assert engine.get(run.id).status is RunStatus.COMPLETED


@SET
async def test_a_sleep_beside_a_long_step_is_as_long_as_it_was_to_be(
    start: Open, clock: FakeClock, hours: int
) -> None:
    gate = Gate()

    async def branches(input: Any, context: Any) -> None:
        await asyncio.gather(
            context.step.sleep("nap", "30 seconds"), context.step.run("long", gate.come)
        )

    engine = await start(flow(branches))
    run = await engine.submit(event())
    await gate.somebody()
    await turns()
    clock.put(hours * HOUR)
    clock.advance(20_000)
    gate.open()
    while engine.get(run.id).status is not RunStatus.SLEEPING:
        await asyncio.sleep(0.01)
    await go_on(engine, clock, 9_999)
    assert engine.get(run.id).status is RunStatus.SLEEPING
    await go_on(engine, clock, 1)
    assert engine.get(run.id).status is RunStatus.COMPLETED


@SET
async def test_a_backoff_is_as_long_as_it_was_to_be(
    start: Open, clock: FakeClock, hours: int
) -> None:
    async def flaky(input: Any, context: Any) -> str:
        if not context.attempt:
            raise LookupError
        return "well"

    engine = await start(flow(flaky))
    run = await engine.submit(event())
    await engine.idle()
    wait = engine.get(run.id).due - clock.now()
    clock.put(hours * HOUR)
    await go_on(engine, clock, wait - 1)
    assert engine.get(run.id).status is RunStatus.QUEUED
    await go_on(engine, clock, 1)
    assert engine.get(run.id).status is RunStatus.COMPLETED


def delayed(clock: FakeClock) -> Any:
    return event(due=event_due("30 seconds", None, clock.now()), is_delayed=True)


def put_off(clock: FakeClock) -> Any:
    return event(due=clock.now() + 30_000)


@pytest.mark.parametrize(("made", "is_moved"), [(delayed, True), (put_off, False)])
async def test_a_delayed_start_waits_as_long_and_one_with_a_date_until_then(
    start: Open, clock: FakeClock, made: Callable[[FakeClock], Any], is_moved: bool
) -> None:
    engine = await start(flow(lambda: None))
    run = await engine.submit(made(clock))
    clock.put(HOUR)
    await go_on(engine, clock, 29_999)
    assert engine.get(run.id).status.is_final is not is_moved
    await go_on(engine, clock, 1)
    assert engine.get(run.id).status is RunStatus.COMPLETED


@SET
async def test_what_waits_for_room_is_not_put_off(
    start: Open, clock: FakeClock, hours: int
) -> None:
    gate = Gate()

    async def handler(input: Any, context: Any) -> None:
        await context.step.run("gate", gate.come)

    engine = await start(flow(handler), concurrency=1)
    runs = [await engine.submit(event()) for _ in range(3)]
    await gate.somebody()
    clock.put(hours * HOUR)
    gate.open()
    await asyncio.wait_for(engine.idle(), 50)
    assert {engine.get(run.id).status for run in runs} == {RunStatus.COMPLETED}


@SET
async def test_a_time_limit_counts_what_has_passed(
    start: Open, clock: FakeClock, hours: int
) -> None:
    gate = Gate()

    async def handler(input: Any, context: Any) -> None:
        await context.step.run("gate", gate.come)

    engine = await start(flow(handler, timeout=timedelta(minutes=1)))
    run = await engine.submit(event())
    await gate.somebody()
    clock.put(hours * HOUR)
    clock.advance(30_000)
    engine._loop.pump()
    clock.advance(29_999)
    await turns()
    assert engine.get(run.id).status is RunStatus.RUNNING
    clock.advance(1)
    ended = await asyncio.wait_for(engine.wait(run.id), 50)
    assert ended.failure.type == "RunTimedOut"


async def test_an_event_that_is_sent_with_a_delay_after_the_clock_was_set_is_due_then(
    start: Open, clock: FakeClock
) -> None:
    async def handler(input: Any, context: Any) -> None:
        clock.put(-HOUR)
        await context.send_event("heard", delay="1 minute")

    engine = await start(flow(handler), flow(lambda: None, "heard"))
    await engine.submit(event())
    await engine.idle()
    heard = next(run for run in engine._store.reader.runs() if run.workflow == "heard")
    assert heard.due == clock.now() + 60_000


@SET
async def test_what_comes_in_before_anybody_has_noticed_is_not_put_off(
    start: Open, clock: FakeClock, hours: int
) -> None:
    engine = await start(flow(lambda: None))
    clock.put(hours * HOUR)
    run = await engine.submit(delayed(clock))
    await go_on(engine, clock, 30_000)
    assert engine.get(run.id).status is RunStatus.COMPLETED


def test_what_measures_time_goes_on_and_is_nobodys_to_set() -> None:
    clock, began = SystemClock(), time.monotonic()
    first = clock.steady()
    while time.monotonic() < began + 0.02:
        pass
    assert clock.steady() - first + 1 >= 20
