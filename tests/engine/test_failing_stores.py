"""Stores that fail at any moment: nothing that was stored is lost, and nothing is hidden."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from kit.model.errors import StoreError
from kit.model.run import RunStatus
from kit.model.signals import Signal
from kit.store.sqlite.reader import Reader

from .conftest import (
    START,
    Gate,
    Open,
    break_disk,
    event,
    fill_disk,
    flow,
    nothing,
    turns,
    write_lock,
)


async def test_a_checkpoint_that_cannot_be_stored_fails_no_attempt(start: Open) -> None:
    gate, ran = Gate(), []

    async def careless(input: Any, context: Any) -> None:
        try:
            await context.step.run("gate", gate.come)
        except Exception:  # noqa: BLE001 - as careless as can be
            ran.append("caught")

    engine = await start(flow(careless))
    run = await engine.submit(event())
    waiting = [asyncio.create_task(engine.wait(run.id)), asyncio.create_task(engine.idle())]
    await gate.somebody()
    break_disk(engine)
    gate.open()
    for each in waiting:
        with pytest.raises(StoreError, match="read-only"):
            await each
    for asking in (engine.wait(run.id), engine.submit(event()), engine.idle()):
        with pytest.raises(StoreError, match="read-only"):
            await asking
    await engine.close()

    engine = await start(flow(careless))
    ended = await engine.wait(run.id)
    assert (ended.status, ended.attempt, ran) == (RunStatus.COMPLETED, 0, [])
    assert engine._store.reader.attempts(run.id) == []
    assert gate.entered == 2


async def test_a_full_disk_leaves_what_was_stored_before(start: Open) -> None:
    gate, size = Gate(), 3_000_000

    async def large(input: Any, context: Any) -> int:
        await context.step.run("small", lambda: "x")
        await context.step.run("gate", gate.come)
        return len(await context.step.run("large", lambda: "x" * size))

    engine = await start(flow(large))
    run = await engine.submit(event())
    await gate.somebody()
    fill_disk(engine)
    gate.open()
    with pytest.raises(StoreError, match="disk is full"):
        await engine.wait(run.id)
    await engine.close()
    with closing(Reader(engine.path)) as left:  # an engine that opens goes on at once
        assert list(left.checkpoints(run.id)) == ["small", "gate"]
    engine = await start(flow(large))
    assert (await engine.wait(run.id)).result == str(size)


async def test_an_event_too_large_for_the_disk_is_refused_and_others_go_on(start: Open) -> None:
    engine = await start(flow(lambda input: len(input or "")), durability="full")
    late = await engine.submit(event(due=START + 1000))
    fill_disk(engine)
    large, small = event("flow", "x" * 3_000_000), event()
    results = await asyncio.gather(
        engine.submit(large), engine.submit(small), return_exceptions=True
    )
    assert isinstance(results[0], StoreError)
    assert (await engine.wait(small.id)).status is RunStatus.COMPLETED
    assert [run.id for run in engine._store.reader.unfinished()] == [late.id]


async def test_an_event_that_cannot_be_sent_for_the_store_fails_no_attempt(start: Open) -> None:
    gate = Gate()

    async def sender(input: Any, context: Any) -> None:
        await gate.come()
        await context.send_event("other")

    engine = await start(flow(sender), flow(nothing, "other"))
    run = await engine.submit(event())
    await gate.somebody()
    break_disk(engine)
    gate.open()
    with pytest.raises(StoreError, match="read-only"):
        await engine.wait(run.id)
    await engine.close()
    engine = await start(flow(sender), flow(nothing, "other"))
    assert (await engine.wait(run.id)).attempt == 0
    await engine.idle()
    assert len(engine._store.reader.runs()) == 2


async def test_several_steps_that_cannot_be_stored_fail_once(start: Open) -> None:
    gate = Gate()

    async def pair(input: Any, context: Any) -> None:
        await asyncio.gather(*(context.step.run(each, gate.come) for each in "ab"))

    engine = await start(flow(pair))
    run = await engine.submit(event())
    await gate.somebody()
    break_disk(engine)
    gate.open()
    with pytest.raises(StoreError, match="read-only"):
        await engine.wait(run.id)


async def test_an_outcome_that_cannot_be_stored_is_told(start: Open) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event())
    late = await engine.submit(event(due=START + 1000))
    await gate.somebody()
    break_disk(engine)
    gate.open()
    with pytest.raises(StoreError, match="read-only"):
        await engine.wait(run.id)
    with pytest.raises(StoreError, match="read-only"):
        await engine.stop(late.id)
    await engine.close()
    engine = await start()
    assert engine.get(run.id).status is RunStatus.RUNNING
    assert engine.get(late.id).status is RunStatus.QUEUED


async def test_a_run_admitted_after_the_store_failed_does_not_begin(start: Open, path: Any) -> None:
    called: list[Any] = []
    engine = await start(flow(called.append))
    one = event()
    with write_lock(path):
        sending = asyncio.create_task(engine.submit(one))
        await turns()
        engine._waiting.fail(StoreError("gone", path=str(path)))
    await sending
    await turns()
    assert called == []


async def test_a_watcher_that_fails_stops_the_engine_rather_than_the_run(start: Open) -> None:
    def watch(progress: Any) -> None:
        if progress.what == "run-started":
            raise LookupError("no watcher")

    engine = await start(flow(nothing), observe=watch)
    run = await engine.submit(event())
    with pytest.raises(LookupError, match="no watcher"):
        await engine.wait(run.id)
    with pytest.raises(LookupError):
        await engine.submit(event())


async def test_an_invocation_that_cannot_be_carried_out_is_told(start: Open) -> None:
    class Broken(Signal):
        """Something of the kit's own: no attempt can be made of it."""

    async def handler() -> None:
        raise Broken

    engine = await start(flow(handler))
    run = await engine.submit(event())
    with pytest.raises(Broken):
        await engine.wait(run.id)
    assert engine._store.reader.attempts(run.id) == []
