"""When runs begin, wake up and are tried again."""

import asyncio
from typing import Any

from kit.engine.clock import SystemClock
from kit.model.delivery import CheckpointKind
from kit.model.run import RunStatus

from .conftest import START, FakeClock, Open, event, finished, flow, hello


async def test_a_delayed_event_begins_when_it_is_due(start: Open, clock: FakeClock) -> None:
    engine = await start(flow(hello))
    run = await engine.submit(event(due=START + 5000))
    await engine.idle()
    assert engine.get(run.id).status is RunStatus.QUEUED
    clock.advance(4999)
    await engine.idle()
    assert engine.get(run.id).status is RunStatus.QUEUED
    clock.advance(1)
    ended = await engine.wait(run.id)
    assert (ended.status, ended.started) == (RunStatus.COMPLETED, START + 5000)


async def test_of_delayed_events_the_next_due_sets_the_timer(start: Open, clock: FakeClock) -> None:
    engine = await start(flow(hello))
    runs = [await engine.submit(event(due=START + wait)) for wait in (5000, 2000)]
    assert clock.next_due() == START + 2000
    clock.advance(2000)
    await engine.wait(runs[1].id)
    assert clock.next_due() == START + 5000


async def test_a_sleeping_run_goes_on_when_its_sleep_is_over(start: Open, clock: FakeClock) -> None:
    async def sleeper(input: Any, context: Any) -> None:
        await context.step.run("before", lambda: None)
        await context.step.sleep("month", "30 days")

    engine = await start(flow(sleeper))
    run = await engine.submit(event())
    await engine.idle()
    asleep = engine.get(run.id)
    assert (asleep.status, asleep.due) == (RunStatus.SLEEPING, START + 30 * 86_400_000)
    clock.advance(30 * 86_400_000)
    await engine.wait(run.id)
    kinds = [each.kind for each in engine._store.reader.checkpoints(run.id).values()]
    assert kinds == [CheckpointKind.STEP, CheckpointKind.SLEEP]


async def test_failed_attempts_wait_as_on_netlify_and_end_as_a_dead_letter(
    start: Open, clock: FakeClock
) -> None:
    def fails() -> None:
        raise LookupError("no")

    engine = await start(flow(fails))
    run = await engine.submit(event())
    waits = []
    for _ in range(4):
        await engine.idle()
        waits.append(engine.get(run.id).due - clock.now())
        clock.advance(waits[-1])
    ended = await engine.wait(run.id)
    assert waits == [5000, 5000, 20_000, 40_000]
    assert (ended.status, ended.attempt) == (RunStatus.FAILED, 4)
    assert ended.failure is not None
    assert ended.failure.message == "no"
    attempts = engine._store.reader.attempts(run.id)
    assert [each.number for each in attempts] == [0, 1, 2, 3, 4]
    assert [each.retry_in for each in attempts] == [*waits, None]


async def test_finished_steps_are_kept_through_retries(start: Open) -> None:
    ran: list[str] = []

    async def shaky(input: Any, context: Any) -> None:
        await context.step.run("first", ran.append, "first")
        await context.step.run("second", ran.append, "second")
        if context.attempt < 2:
            raise LookupError

    for replay in ("pauses", "always"):
        ran.clear()
        engine = await start(flow(shaky), fast=True, replay=replay)
        run = await finished(engine)
        assert (run.status, run.attempt) == (RunStatus.COMPLETED, 2)
        assert ran == ["first", "second"]
        await engine.close()


async def test_gathered_steps_are_kept_when_a_later_one_fails(start: Open) -> None:
    ran: list[str] = []

    async def shaky(input: Any, context: Any) -> int:
        await context.step.run("first", ran.append, "first")
        await context.step.run("second", ran.append, "second")
        if context.attempt < 2:
            raise LookupError("no")
        return int(context.attempt)

    engine = await start(flow(shaky, checkpoints="gather"), fast=True)
    run = await finished(engine)
    assert (run.status, run.result, ran) == (RunStatus.COMPLETED, "2", ["first", "second"])
    assert [each.number for each in engine._store.reader.attempts(run.id)] == [0, 1]


async def test_fast_skips_delays_sleeps_and_backoff(start: Open) -> None:
    async def slow(input: Any, context: Any) -> int:
        await context.step.sleep("long", "300 days")
        if not context.attempt:
            raise LookupError
        return int(context.attempt)

    engine = await start(flow(slow), fast=True)
    assert (await finished(engine, due=START + 10**9)).result == "1"


async def test_the_system_clock_calls_back_no_earlier_than_it_says() -> None:
    clock, called = SystemClock(), asyncio.Event()
    when = clock.now() + 2
    clock.call_at(when, called.set)
    clock.call_at(when + 10**9, called.clear).cancel()
    await called.wait()
    assert clock.now() >= when
