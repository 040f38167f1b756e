"""`stop()` at every moment of a run."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kit.model.errors import WorkflowNotFoundError
from kit.model.retry import RetryPolicy
from kit.model.run import RunStatus
from kit.store.sqlite.direct import request_stop
from kit.store.sqlite.reader import RunRequest

from .conftest import START, FakeClock, Gate, Open, event, fails, flow, turns, write_lock


async def test_a_queued_run_is_stopped_at_once(start: Open, clock: FakeClock) -> None:
    engine = await start(flow(fails))
    run = await engine.submit(event(due=START + 1000))
    waiting = asyncio.create_task(engine.wait(run.id))
    await turns(1)
    assert await engine.stop(run.id)
    assert (await waiting).status is RunStatus.CANCELLED
    clock.advance(1000)
    await engine.idle()
    assert engine.get(run.id).status is RunStatus.CANCELLED


async def test_a_run_on_its_way_to_the_disk_is_stopped(start: Open) -> None:
    engine = await start(flow(fails))
    late = event(due=START + 1000)
    sending = asyncio.create_task(engine.submit(late))
    await asyncio.sleep(0)
    assert await engine.stop(late.id)
    await sending
    assert engine.get(late.id).status is RunStatus.CANCELLED


async def test_a_run_about_to_begin_is_stopped_before_its_handler(
    start: Open, clock: FakeClock
) -> None:
    called: list[Any] = []
    engine = await start(flow(called.append))
    run = await engine.submit(event(due=START + 1000))
    clock.advance(1000)
    assert await engine.stop(run.id)
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
    assert called == []


async def test_a_running_run_ends_at_its_next_step(start: Open) -> None:
    gate, ran = Gate(), []

    async def two(input: Any, context: Any) -> None:
        await context.step.run("gate", gate.come)
        await context.step.run("next", ran.append, 1)

    engine = await start(flow(two))
    run = await engine.submit(event())
    await gate.somebody()
    assert await engine.stop(run.id)
    assert await engine.stop(run.id)
    gate.open()
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
    assert ran == []
    assert list(engine._store.reader.checkpoints(run.id)) == ["gate"]


async def returns(gate: Gate) -> int:
    await gate.come()
    return 1


async def fails_at_last(gate: Gate) -> None:
    await gate.come()
    fails()


@pytest.mark.parametrize("ends", [returns, fails_at_last])
async def test_a_run_with_no_step_left_is_stopped_all_the_same(
    start: Open, ends: Callable[[Gate], Any]
) -> None:
    """Who stopped it was told that it would be; so its result is nobody's any more."""
    gate = Gate()
    engine = await start(flow(lambda: ends(gate), retry=RetryPolicy(0)))
    run = await engine.submit(event())
    await gate.somebody()
    assert await engine.stop(run.id)
    gate.open()
    ended = await engine.wait(run.id)
    assert (ended.status, ended.result, ended.failure) == (RunStatus.CANCELLED, None, None)
    assert engine._store.reader.requests() == []
    assert not await engine.stop(run.id)


@pytest.mark.parametrize("ends", [returns, fails_at_last])
async def test_what_is_on_disk_first_counts_the_end_or_the_stop_of_another_process(
    start: Open, path: Any, ends: Callable[[Gate], Any]
) -> None:
    """The request comes after the last look, and before the COMMIT of the end."""
    gate = Gate()
    engine = await start(flow(lambda: ends(gate), retry=RetryPolicy(0)))
    run = await engine.submit(event())
    await gate.somebody()
    with write_lock(path) as other:
        gate.open()
        await turns()  # the end waits for the lock
        other.execute("INSERT INTO requests (run_id, what, at) VALUES (?, 'stop', 1)", (run.id,))
        other.execute("COMMIT")
        ended = await engine.wait(run.id)
    assert (ended.status, ended.result, ended.failure) == (RunStatus.CANCELLED, None, None)
    assert engine._store.reader.requests() == []


async def test_a_stop_that_comes_after_the_end_says_so(start: Open, path: Any) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event())
    await gate.somebody()
    with write_lock(path):
        gate.open()
        await turns(20)  # its end waits to be written
        stopping = asyncio.create_task(engine.stop(run.id))
        await turns(20)
    assert not await stopping
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_no_step_begins_that_a_request_on_disk_forbids(start: Open, path: Any) -> None:
    """The request comes after the first step, and before the COMMIT of its result."""
    gate, ran = Gate(), list[str]()

    async def two(input: Any, context: Any) -> None:
        await context.step.run("gate", gate.come)
        await context.step.run("next", ran.append, "next")

    engine = await start(flow(two))
    run = await engine.submit(event())
    await gate.somebody()
    with write_lock(path) as other:
        gate.open()
        await turns()
        other.execute("INSERT INTO requests (run_id, what, at) VALUES (?, 'stop', 1)", (run.id,))
        other.execute("COMMIT")
        assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
    assert ran == []


async def test_a_run_that_wakes_is_looked_at_first(
    start: Open, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the last look is ago: no COMMIT of its own comes before its next step."""
    monkeypatch.setattr("kit.engine.hearing._LISTEN_SECONDS", 3600)
    monkeypatch.setattr("kit.engine.driving._DRIVER_WATCHES", 3600)
    ran = list[str]()

    async def sleeper(input: Any, context: Any) -> None:
        await context.step.sleep("nap", 60)
        await context.step.run("next", ran.append, "next")

    engine = await start(flow(sleeper))
    run = await engine.submit(event())
    await engine.idle()
    request_stop(engine.path, run.id, 1)
    clock.advance(60_000)
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
    assert ran == []


async def test_a_sleeping_run_is_stopped_at_once(start: Open, clock: FakeClock) -> None:
    async def sleeper(input: Any, context: Any) -> None:
        await context.step.sleep("nap", 60)

    engine = await start(flow(sleeper))
    run = await engine.submit(event())
    await engine.idle()
    assert await engine.stop(run.id)
    assert engine.get(run.id).status is RunStatus.CANCELLED
    clock.advance(60_000)
    await engine.idle()


async def test_a_run_that_waits_for_its_retry_is_stopped_at_once(start: Open) -> None:
    engine = await start(flow(fails))
    run = await engine.submit(event())
    await engine.idle()
    assert await engine.stop(run.id)
    assert engine.get(run.id).status is RunStatus.CANCELLED
    assert len(engine._store.reader.attempts(run.id)) == 1


async def test_a_run_whose_outcome_is_being_stored_is_stopped(start: Open, path: Any) -> None:
    gate = Gate()

    async def sleeper(input: Any, context: Any) -> None:
        await gate.come()
        await context.step.sleep("nap", 60)

    engine = await start(flow(sleeper))
    run = await engine.submit(event())
    await gate.somebody()
    with write_lock(path):
        gate.open()
        await turns(100)
        stopping = asyncio.create_task(engine.stop(run.id))
        await turns(100)
        assert not stopping.done(), "it is not on disk"
        assert engine.get(run.id).status is RunStatus.RUNNING
    assert await stopping
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED


async def test_stopping_twice_while_it_is_stored_stops_once(start: Open, path: Any) -> None:
    engine = await start(flow(fails))
    run = await engine.submit(event(due=START + 1000))
    with write_lock(path):
        stopping = [asyncio.create_task(engine.stop(run.id)) for _ in range(2)]
        await turns()
        stopping[0].cancel()
        await turns()
    assert await stopping[1]
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED


async def test_a_run_of_a_workflow_nobody_defines_can_be_stopped(start: Open) -> None:
    engine = await start(flow(fails))
    run = await engine.submit(event(due=START + 1000))
    await engine.close()
    engine = await start()
    with pytest.raises(WorkflowNotFoundError, match="nobody defines"):
        await engine.wait(run.id)
    assert await engine.stop(run.id)
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED


async def test_a_stop_is_on_disk_before_the_step_it_waits_for_ends(start: Open) -> None:
    gate = Gate()

    async def works(input: Any, context: Any) -> None:
        await context.step.run("long", gate.come)
        await context.step.run("next", str)

    engine = await start(flow(works))
    run = await engine.submit(event())
    await gate.somebody()
    assert await engine.stop(run.id)
    assert await engine.stop(run.id), "as before"
    assert engine._store.reader.requests() == [RunRequest(run.id, "stop")]
    await engine.close()  # as far as the disk knows, it might have been killed here
    gate.open()
    engine = await start(flow(works))
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
    assert gate.entered == 1
    assert engine._store.reader.requests() == []
