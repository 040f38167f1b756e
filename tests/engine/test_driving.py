"""Several engines on one file: one drives, the others start, stop, wait and look."""

import asyncio
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.model.errors import WorkflowNotFoundError
from kit.model.retry import RetryPolicy
from kit.model.run import RunStatus
from kit.store.sqlite.lease import is_held

from .conftest import START, FakeClock, Gate, Open, event, flow, soon, turns, where, write_lock


async def test_the_driver_executes_what_another_engine_starts(start: Open) -> None:
    ran: list[str] = []
    driver = await start(where("driver", ran))
    other = await start(where("other", ran), resume=())
    run = await other.submit(event())
    assert (await soon(other.wait(run.id))).result == '"driver"'
    await soon(other.idle())
    assert (driver.is_driver, other.is_driver) == (True, False)
    assert ran == ["driver"]
    assert other._store.reader.requests() == []


async def test_an_engine_that_only_looks_does_not_drive(start: Open, path: Any) -> None:
    engine = await start(flow(lambda: None), resume=())
    assert not engine.is_driver
    assert not is_held(path)
    run = await engine.submit(event())
    assert engine.is_driver
    await engine.wait(run.id)


async def test_a_script_leaves_alone_what_it_finds(start: Open) -> None:
    ran: list[str] = []
    first = await start(where("first", ran))
    left = await first.submit(event(due=START + 1000))
    await first.close()
    clock = FakeClock(START + 2000)
    second = await start(where("second", ran), resume=(), clock=clock)
    run = await second.submit(event())
    await second.wait(run.id)
    await second.idle()
    assert second.get(left.id).status is RunStatus.QUEUED
    assert ran == ["second"]
    await second.resume()
    assert (await soon(second.wait(left.id))).status is RunStatus.COMPLETED


async def test_who_waits_for_a_run_nobody_executes_executes_it(start: Open) -> None:
    ran: list[str] = []
    first = await start(where("first", ran))
    left = await first.submit(event(due=START + 1000))
    await first.close()
    second = await start(where("second", ran), resume=(), clock=FakeClock(START + 2000))
    assert (await soon(second.wait(left.id))).result == '"second"'


async def test_a_run_the_driver_does_not_know_is_executed_by_who_does(start: Open) -> None:
    ran: list[str] = []
    gate = Gate()
    driver = await start(where("driver", ran))
    aside = await start(where("aside", ran, "secret", gate), resume=())
    run = await aside.submit(event("secret"))
    await soon(gate.somebody())
    assert not aside.is_driver
    assert is_held(aside.path, 1)
    # neither the driver nor its successor touches it meanwhile
    await driver.close()
    successor = await start(where("successor", ran, "secret"))
    assert successor.is_driver
    await turns()
    waiting = asyncio.create_task(successor.wait(run.id))
    gate.open()
    assert (await soon(aside.wait(run.id))).result == '"aside"'
    assert (await soon(waiting)).result == '"aside"'
    assert ran == ["aside"]


async def test_who_waits_for_what_nobody_knows_is_told(
    start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.engine.asking._UNCLAIMED", -1)
    ran: list[str] = []
    old = await start(where("old", ran, "secret"))
    left = await old.submit(event("secret", due=START + 1000))
    await old.close()
    await start(where("driver", ran))
    other = await start(where("other", ran), resume=())
    with pytest.raises(WorkflowNotFoundError, match="nobody defines here"):
        await soon(other.wait(left.id))


async def test_stops_reach_the_driver_from_anywhere(start: Open) -> None:
    gate = Gate()
    ran: list[str] = []
    await start(where("driver", ran, gate=gate))
    other = await start(where("other", ran), resume=())
    running, waits = [await other.submit(event(due=due)) for due in (START, START + 1000)]
    await soon(gate.somebody())
    assert await other.stop(running.id)
    assert await other.stop(waits.id)
    gate.open()
    assert (await soon(other.wait(waits.id))).status is RunStatus.CANCELLED
    assert (await soon(other.wait(running.id))).status in (RunStatus.CANCELLED, RunStatus.COMPLETED)
    assert not await other.stop(waits.id)


@pytest.fixture
def _nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look at the file of their own accord: as if each run was faster than that."""
    for each in ("_DRIVER_WATCHES", "_WAITER_WATCHES", "LOOK_SECONDS"):
        monkeypatch.setattr(f"kit.engine.driving.{each}", 50)


async def in_step(gate: Gate, context: Any) -> None:
    await context.step.run("gate", gate.come)


async def outside(gate: Gate, context: Any) -> None:
    await gate.come()


async def failing(gate: Gate, context: Any) -> None:
    await gate.come()
    raise LookupError


@pytest.mark.usefixtures("_nobody_looks")
@pytest.mark.parametrize("waits", [in_step, outside, failing])
@pytest.mark.parametrize("then", ["step", "sleep"])
async def test_a_stop_of_another_engine_holds_once_it_is_acknowledged(
    start: Open, waits: Any, then: str
) -> None:
    gate, ran = Gate(), []

    async def handler(input: Any, context: Any) -> None:
        await waits(gate, context)
        if then == "sleep":
            await context.step.sleep("nap", 60)
        await context.step.run("next", ran.append, 1)

    driver = await start(flow(handler, retry=RetryPolicy(0)))
    other = await start(resume=())
    run = await driver.submit(event())
    await soon(gate.somebody())
    assert await other.stop(run.id)
    gate.open()
    assert (await soon(driver.wait(run.id))).status is RunStatus.CANCELLED
    assert ran == []
    assert other._store.reader.requests() == []


@pytest.mark.usefixtures("_nobody_looks")
async def test_a_run_that_another_engine_stops_for_it_takes_no_further_step(start: Open) -> None:
    ran: list[str] = []
    other = await start(resume=())

    async def handler(input: Any, context: Any) -> None:
        await context.step.run("first", ran.append, "first")
        assert await other.stop(run.id)
        await context.step.run("next", ran.append, "next")

    driver = await start(flow(handler))
    run = event()
    await driver.submit(run)
    assert (await soon(driver.wait(run.id))).status is RunStatus.CANCELLED
    assert ran == ["first"]


async def test_anyone_tries_an_ended_run_again(start: Open) -> None:
    ran: list[str] = []
    await start(where("driver", ran))
    other = await start(where("other", ran), resume=())
    run = await other.submit(event())
    await soon(other.wait(run.id))
    again = await other.retry(run.id, from_start=True)
    assert again.status is RunStatus.QUEUED
    assert (await soon(other.wait(run.id))).status is RunStatus.COMPLETED
    assert ran == ["driver", "driver"]


async def test_waits_are_skipped_for_who_asks_for_that_only(start: Open, clock: Any) -> None:
    async def handler(input: Any, context: Any) -> None:
        await context.step.sleep("nap", 60)

    driver = await start(flow(handler))
    fast = await start(flow(handler), resume=(), fast=True)
    slow = await start(flow(handler), resume=())
    skips, sleeps = await fast.submit(event()), await slow.submit(event())
    assert (await soon(fast.wait(skips.id))).status is RunStatus.COMPLETED
    await soon(slow.idle())
    assert driver.get(sleeps.id).status is RunStatus.SLEEPING


async def test_what_is_executed_for_others_is_told_as_such(start: Open) -> None:
    told: list[Any] = []
    ran: list[str] = []
    await start(where("driver", ran), observe=told.append)
    other = await start(where("other", ran), resume=())
    await soon(other.wait((await other.submit(event())).id))
    assert told
    assert not any(each.own for each in told)


async def test_two_event_loops_in_one_process_share_the_file(path: Any) -> None:
    ran: list[str] = []

    def life(name: str) -> list[str]:
        async def main() -> list[str]:
            async with Engine(path, {"flow": where(name, ran)}.get, resume=()) as engine:
                runs = [await engine.submit(event()) for _ in range(20)]
                ended = [await soon(engine.wait(run.id)) for run in runs]
                return [str(each.status) for each in ended]

        return asyncio.run(main())

    results = await asyncio.gather(*(asyncio.to_thread(life, name) for name in "abc"))
    assert results == [["completed"] * 20] * 3
    assert len(ran) == 60


async def test_a_write_that_has_to_wait_does_not_keep_who_waits_from_hearing_of_an_end(
    start: Open, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, ran, pauses = Gate(), list[str](), list[float]()
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(min(seconds, 0.05))

    driver = await start(where("driver", ran, gate=gate))
    run = await driver.submit(event())
    await soon(gate.somebody())
    other = await start(resume=())
    monkeypatch.setattr(asyncio, "sleep", pause)
    with write_lock(path):
        waiting = asyncio.create_task(other.wait(run.id))  # it asks the driver: a write
        await sleep(0.5)
        other._driving.settle()
    while not pauses:
        await sleep(0.01)
    gate.open()
    assert (await soon(waiting)).status is RunStatus.COMPLETED
    assert max(pauses) < 2, "ten times what looking takes, not what the lock took"
