"""Closing an engine at any moment, opening the file again, and stores that fail."""

import asyncio
import os
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.execution.threads import under_way
from kit.model.errors import StoreError
from kit.model.run import RunStatus

from .conftest import (
    START,
    FakeClock,
    Gate,
    Open,
    busy_step,
    event,
    flow,
    nothing,
    turns,
    write_lock,
)


async def test_what_was_running_goes_on_at_its_last_checkpoint(start: Open) -> None:
    gate, ran = Gate(), []

    async def two(input: Any, context: Any) -> None:
        await context.step.run("first", ran.append, "first")
        await context.step.run("gate", gate.come)
        ran.append("end")

    engine = await start(flow(two))
    run = await engine.submit(event())
    await gate.somebody()
    await engine.close()
    gate.open()
    engine = await start(flow(two))
    ended = await engine.wait(run.id)
    assert (ended.status, ended.attempt) == (RunStatus.COMPLETED, 0)
    assert ran == ["first", "end"]
    assert gate.entered == 2


async def test_waiters_are_told_that_the_engine_was_closed(start: Open) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event())
    waiting = [asyncio.create_task(engine.wait(run.id)), asyncio.create_task(engine.idle())]
    await turns()
    await engine.close()
    await engine.close()
    for each in waiting:
        with pytest.raises(StoreError) as caught:
            await each
        assert caught.value.code == "ENGINE_CLOSED"


async def test_a_closed_engine_accepts_nothing(start: Open, path: Any) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event())
    await engine.wait(run.id)
    await engine.close()
    for asking in (engine.submit(event()), engine.idle(), engine.retry(run.id)):
        with pytest.raises(StoreError, match="closed"):
            await asking
    again = await start()
    assert again._store.reader.runs() == [again.get(run.id)]


async def test_an_engine_that_is_closing_accepts_nothing(start: Open, path: Any) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event())
    await engine.wait(run.id)
    late = await engine.submit(event(due=START + 1000))
    with write_lock(path):
        engine._store.insert(late)
        closing = asyncio.create_task(engine.close())
        await turns()
        for asking in (engine.submit(event()), engine.retry(run.id), engine.idle()):
            with pytest.raises(StoreError, match="closed"):
                await asking
    await closing


async def test_a_run_that_is_stored_while_the_engine_closes_begins_later(
    start: Open, path: Any
) -> None:
    called: list[Any] = []
    engine = await start(flow(called.append))
    one = event()
    with write_lock(path):
        sending = asyncio.create_task(engine.submit(one))
        await turns()
        closing = asyncio.create_task(engine.close())
        await turns()
    assert (await sending).id == one.id
    await closing
    assert called == []
    engine = await start(flow(called.append))
    assert (await engine.wait(one.id)).status is RunStatus.COMPLETED


async def test_a_run_that_is_about_to_begin_begins_later(start: Open) -> None:
    called: list[Any] = []
    engine = await start(flow(called.append))
    run = await engine.submit(event())
    await engine.close()
    assert called == []
    engine = await start(flow(called.append))
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_an_outcome_that_is_being_stored_when_the_engine_closes_is_kept(
    start: Open, path: Any
) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event())
    await gate.somebody()
    with write_lock(path):
        gate.open()
        await turns(100)
        waiting = asyncio.create_task(engine.wait(run.id))
        closing = asyncio.create_task(engine.close())
        await turns()
        with pytest.raises(StoreError, match="was closed"):
            await engine.submit(event())
    await closing
    assert (await waiting).status is RunStatus.COMPLETED
    engine = await start()
    assert engine.get(run.id).status is RunStatus.COMPLETED


async def test_a_run_that_falls_asleep_while_the_engine_closes_sleeps_on(
    start: Open, path: Any, clock: FakeClock
) -> None:
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
        closing = asyncio.create_task(engine.close())
        await turns()
    await closing
    engine = await start(flow(sleeper))
    assert engine.get(run.id).status is RunStatus.SLEEPING
    clock.advance(60_000)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_a_run_stopped_as_the_engine_closes_is_stopped(start: Open) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    stopping = asyncio.create_task(engine.stop(run.id))
    await asyncio.sleep(0)
    await engine.close()
    assert await stopping
    engine = await start(flow(nothing))
    assert engine.get(run.id).status is RunStatus.CANCELLED


async def test_a_handler_that_ends_by_its_own_while_the_engine_closes_is_not_waited_for_twice(
    start: Open, clock: FakeClock
) -> None:
    from datetime import timedelta

    gate = Gate()

    async def tidy() -> None:
        try:
            await gate.come()
        finally:
            await asyncio.sleep(0.01)

    engine = await start(flow(tidy, timeout=timedelta(seconds=1)))
    run = await engine.submit(event())
    await gate.somebody()
    clock.advance(1000)
    await engine.wait(run.id)
    await engine.close()  # the handler is unwinding still
    assert engine._loop._invocations.unwinding == set()


async def test_only_the_runs_asked_for_are_resumed(start: Open) -> None:
    engine = await start(flow(nothing))
    runs = [await engine.submit(event(due=START + 1000)) for _ in range(2)]
    await engine.close()
    engine = await start(flow(nothing), fast=True, resume=[runs[0].id])
    assert (await engine.wait(runs[0].id)).status is RunStatus.COMPLETED
    assert engine.get(runs[1].id).status is RunStatus.QUEUED


async def test_runs_of_workflows_nobody_defines_wait_until_somebody_does(start: Open) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    await engine.close()
    engine = await start(flow(nothing, "other"), fast=True)
    await engine.idle()
    assert engine.get(run.id) == run
    await engine.close()
    engine = await start(flow(nothing), fast=True)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_an_engine_that_cannot_open_gives_the_lease_back(start: Open, path: Any) -> None:
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="not a SQLite file"):
        await start(flow(nothing))
    path.unlink()
    await start(flow(nothing))


async def test_an_engine_that_cannot_take_up_its_runs_closes_again(start: Open) -> None:
    engine = await start(flow(nothing))
    await engine.submit(event(due=START + 1000))
    await engine.close()

    def broken(name: str) -> None:
        raise LookupError(name)

    with pytest.raises(LookupError):
        async with Engine(engine.path, broken):
            raise AssertionError
    await start(flow(nothing))


async def test_tearing_the_loop_down_begins_nothing(path: Any) -> None:
    begun: list[int] = []

    async def handler() -> None:
        begun.append(1)
        await asyncio.Event().wait()

    async def life() -> Engine:
        engine = Engine(path, {"flow": flow(handler)}.get, concurrency=1)
        await engine.open()
        for _ in range(2):
            await engine.submit(event())
        await turns()
        return engine

    engine = await asyncio.to_thread(asyncio.run, life())
    await engine._store.close()
    engine._driving.release()
    assert begun == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
async def test_a_forked_child_does_not_wait_for_a_plain_step_of_its_parent(start: Open) -> None:
    handler, entered, go_on = busy_step()
    engine = await start(flow(handler))
    run = await engine.submit(event())
    while not entered.is_set():
        await asyncio.sleep(0.01)
    assert (run.id, "busy") in under_way()
    child = os.fork()
    if not child:
        os._exit(bool(under_way()))
    go_on.set()
    assert os.waitpid(child, 0)[1] == 0
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED
