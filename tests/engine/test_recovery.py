"""A store that fails and works again: the engine goes on, from what is on disk."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kit.engine.engine import Engine
from kit.engine.recovery import Recovery
from kit.model.errors import StoreError
from kit.model.run import RunStatus
from kit.store.sqlite.lease import lease_path

from .conftest import START, FakeClock, Gate, Open, event, fill_disk, flow


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.engine.recovery.FIRST_SECONDS", 0.01)


def make_room(engine: Engine) -> None:
    engine._store._writer._connection._sqlite.execute("PRAGMA max_page_count = 1000000")


async def completed(engine: Engine, run_id: str) -> bool:
    for _ in range(5000):
        run = engine.get(run_id)
        if run.status.is_final:
            return run.status is RunStatus.COMPLETED
        await asyncio.sleep(0.01)
    return False


async def test_a_full_disk_that_gets_room_again_lets_the_engine_go_on(start: Open) -> None:
    gate, ran = Gate(), list[str]()

    async def works(input: Any, context: Any) -> str:
        await context.step.run("before", ran.append, "before")
        await context.step.run("gate", gate.come)
        await context.step.run("large", lambda: "x" * 200_000)
        return "done"

    engine = await start(flow(works))
    run = await engine.submit(event())
    waits = await engine.submit(event(due=START + 1000))
    await gate.somebody()
    fill_disk(engine)
    waiting = asyncio.create_task(engine.wait(run.id))
    gate.open()
    with pytest.raises(StoreError, match="disk is full"):
        await waiting
    make_room(engine)
    assert await completed(engine, run.id)
    assert ran == ["before"], "a step that was stored does not run again"
    later = await engine.submit(event())
    assert await completed(engine, later.id)
    assert engine.get(waits.id).status is RunStatus.QUEUED


@pytest.mark.parametrize("comes", ["who waits", "who starts a run"])
async def test_who_comes_when_a_store_works_again_is_not_told_of_what_is_over(
    start: Open, monkeypatch: pytest.MonkeyPatch, comes: str
) -> None:
    monkeypatch.setattr("kit.engine.recovery.FIRST_SECONDS", 600)
    gates = Gate(), Gate()
    here = iter(gates)

    async def works(input: Any, context: Any) -> None:
        await context.step.run("gate", lambda: next(here, gates[1]).come())

    engine = await start(flow(works))
    writer = engine._store._writer._connection._sqlite
    run = await engine.submit(event())
    for gate in gates:  # a second failure is got over like the first
        await asyncio.wait_for(gate.somebody(), 20)
        waiting = asyncio.create_task(engine.wait(run.id))
        await asyncio.sleep(0)
        writer.execute("PRAGMA query_only = 1")
        gate.open()
        for told in (waiting, engine.wait(run.id), engine.submit(event())):
            with pytest.raises(StoreError, match="read-only"):
                await told
        writer.execute("PRAGMA query_only = 0")
        if comes == "who starts a run":
            await engine.submit(event(due=START + 1000))
        else:
            waiting = asyncio.create_task(engine.wait(run.id))
    assert await completed(engine, run.id)
    assert comes == "who starts a run" or (await waiting).status is RunStatus.COMPLETED


async def test_a_stop_that_could_not_be_stored_can_be_asked_for_again(start: Open) -> None:
    engine = await start(flow(lambda input: None))
    run = await engine.submit(event(due=START + 1000, data="x"))
    writer = engine._store._writer._connection._sqlite
    writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="read-only"):
        await engine.stop(run.id)
    writer.execute("PRAGMA query_only = 0")
    for _ in range(5000):
        if engine._waiting.failure is None:
            break
        await asyncio.sleep(0.01)
    assert await engine.stop(run.id)
    assert engine.get(run.id).status is RunStatus.CANCELLED


@pytest.mark.parametrize("what", ["file", "log", "lease"])
async def test_a_file_that_is_deleted_under_a_running_engine_is_told(
    start: Open, path: Path, what: str
) -> None:
    engine = await start(flow(lambda: None))
    await engine.wait((await engine.submit(event())).id)
    lost = {"file": path, "log": path.with_name("runs.db-wal"), "lease": lease_path(path)}[what]
    lost.unlink()
    with pytest.raises(StoreError, match="deleted or replaced") as caught:
        await engine.submit(event())
    assert caught.value.code == "STORE_LOST"


async def test_a_file_that_is_replaced_is_told_too(start: Open, path: Path) -> None:
    engine = await start(flow(lambda: None))
    await engine.submit(event())
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)
    with pytest.raises(StoreError, match="deleted or replaced"):
        await engine.submit(event())


async def test_a_lock_somebody_holds_is_told_once_for_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import write_lock

    monkeypatch.setattr("kit.store.sqlite.schema.BUSY_SECONDS", 0.2)
    monkeypatch.setattr("kit.store.sqlite.locked.holder", lambda _: 4711)
    async with Engine(path, {"flow": flow(lambda: None)}.get, clock=FakeClock()) as engine:
        await engine.submit(event())
        loop = asyncio.get_running_loop()
        with write_lock(path):
            began = loop.time()
            sends = (engine.submit(event()) for _ in range(50))
            told = await asyncio.gather(*sends, return_exceptions=True)
            took = loop.time() - began
        assert {type(each) for each in told} == {StoreError}
        assert "`kill -CONT 4711` wakes it" in str(told[0])
        assert took < 5, "not as long for each"


async def test_it_is_tried_less_and_less_often_but_every_few_seconds_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.engine.recovery.FIRST_SECONDS", 0.25)
    waits: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async def probe() -> None:
        if len(waits) < 7:
            raise error

    error, went_on = StoreError("the disk is full", path="runs.db"), asyncio.Event()
    waiting, store = SimpleNamespace(failure=error), SimpleNamespace(probe=probe)
    monkeypatch.setattr(asyncio, "sleep", pause)
    recovery = Recovery(cast("Any", store), cast("Any", waiting), went_on.set)
    recovery.begin(error)
    await went_on.wait()
    await recovery.close()

    assert waits == [0.25, 0.5, 1, 2, 4, 5, 5]
    assert waiting.failure is None
