"""A store that fails and works again: the engine goes on, from what is on disk."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kit.engine.engine import Engine
from kit.engine.recovery import Recovery
from kit.model.errors import StoreError
from kit.model.run import RunStatus
from kit.store.sqlite.lease import is_held, lease_path

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
        await asyncio.wait_for(gate.somebody(), 50)
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


async def test_a_driver_whose_file_was_moved_away_lets_go_and_another_goes_on_once_it_is_back(
    start: Open, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gates, ran = (Gate(), Gate()), list[str]()

    def works(name: str, gate: Gate) -> Any:
        async def handler(input: Any, context: Any) -> str:
            await context.step.run("first", ran.append, name)
            await context.step.run("gate", gate.come)
            return await context.step.run("last", lambda: name)

        return flow(handler)

    driver = await start(works("driver", gates[0]))
    other = await start(works("other", gates[1]), resume=())
    run = await other.submit(event())
    later = await driver.submit(event(due=START + 1000))
    waiting = asyncio.create_task(other.wait(run.id))
    await gates[0].somebody()
    path.rename(path.with_name("away"))
    with pytest.raises(StoreError, match="deleted or replaced"):
        await driver.submit(event())
    await until(lambda: not is_held(path))
    await asyncio.sleep(0.05)  # looks of the other one, which finds no file to drive
    gates[0].open()
    path.with_name("away").rename(path)
    await asyncio.wait_for(gates[1].somebody(), 50)
    assert (other.is_driver, driver.is_driver) == (True, False)
    gates[1].open()
    assert (await asyncio.wait_for(waiting, 50)).result == '"other"'
    assert ran == ["driver"], "a step that was stored does not run again, nor in two"
    asks = driver.submit(event()), driver.wait(run.id), driver.idle(), driver.stop(later.id)
    for asked in asks:
        with pytest.raises(StoreError) as caught:
            await asked
        assert caught.value.code == "STORE_LOST"
    said = [each.getMessage() for each in caplog.records if each.name == "kit"]
    assert len(said) == 1
    assert "executes no runs" in said[0]
    assert "Put it back" in said[0]


async def test_a_file_that_stays_away_is_told_to_whoever_waits_for_its_driver(
    start: Open, path: Path
) -> None:
    gate = Gate()
    driver = await start(flow(gate.come))
    other = await start(flow(gate.come), resume=())
    run = await other.submit(event())
    waiting = asyncio.create_task(other.wait(run.id))
    await gate.somebody()
    path.unlink()
    with pytest.raises(StoreError, match="deleted or replaced"):
        await driver.submit(event())
    with pytest.raises(StoreError, match="deleted or replaced"):
        await asyncio.wait_for(waiting, 50)
    await until(lambda: not is_held(path))


async def test_a_plain_step_of_a_driver_that_lets_go_does_not_overlap_itself(
    start: Open, path: Path
) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        go.wait(50)

    def works(input: Any, context: Any) -> None:
        context.step.run("slow", slow)

    driver = await start(flow(works))
    await driver.submit(event())
    await until(entered.is_set)
    path.rename(path.with_name("away"))
    with pytest.raises(StoreError, match="deleted or replaced"):
        await driver.submit(event())
    path.with_name("away").rename(path)
    await until(lambda: not driver._store._writer._thread.is_alive())
    assert is_held(path)
    go.set()
    await until(lambda: not is_held(path))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(50):
        while not holds():
            await asyncio.sleep(0.01)


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
            sends = (engine.submit(event()) for _ in range(500))
            told = await asyncio.gather(*sends, return_exceptions=True)
            took = loop.time() - began
        assert {type(each) for each in told} == {StoreError}
        assert "`kill -CONT 4711` wakes it" in str(told[0])
        assert took < 50, "not as long for each"


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
    recovery = Recovery(cast("Any", store), cast("Any", waiting), went_on.set, cast("Any", None))
    recovery.begin(error)
    await went_on.wait()
    await recovery.close()

    assert waits == [0.25, 0.5, 1, 2, 4, 5, 5]
    assert waiting.failure is None


async def test_a_file_that_is_lost_while_it_is_tried_again_is_given_up() -> None:
    lost = StoreError("it is gone", path="runs.db", code="STORE_LOST")
    given_up: list[BaseException] = []

    async def probe() -> None:
        raise lost

    async def give_up(error: BaseException) -> None:
        given_up.append(error)

    error = StoreError("the disk is full", path="runs.db")
    waiting, store = SimpleNamespace(failure=error), SimpleNamespace(probe=probe)
    recovery = Recovery(cast("Any", store), cast("Any", waiting), lambda: None, give_up)
    recovery.begin(error)
    await until(lambda: bool(given_up))
    recovery.begin(lost)
    await recovery.close()

    assert given_up == [lost], "once"
    assert waiting.failure is lost
