"""What goes on when a driver ends: who takes over, and what."""

import asyncio
from typing import Any

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.lease import is_held

from .conftest import START, FakeClock, Gate, Open, busy_step, event, flow, soon, turns, where


async def test_another_takes_over_what_it_wishes_when_the_driver_ends(
    start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.engine.invocations.HAND_OVER_SECONDS", 0)
    ran: list[str] = []
    gates = Gate(), Gate()
    driver = await start(where("driver", ran, gate=gates[0]))
    other = await start(where("other", ran, gate=gates[1]), resume=())
    theirs = await driver.submit(event())
    mine = await other.submit(event())
    waiting = asyncio.create_task(other.wait(mine.id))
    while gates[0].entered < 2:
        await asyncio.sleep(0.01)
    driver._driving.release()  # as if it had been killed
    await soon(gates[1].somebody())
    gates[1].open()
    assert (await soon(waiting)).result == '"other"'
    assert ran == ["driver", "driver"], "the step that was stored is not repeated"
    assert other.is_driver
    assert other.get(theirs.id).status is RunStatus.RUNNING, "nobody here wishes it"


async def test_what_a_run_has_started_is_taken_over_with_it(start: Open) -> None:
    ran: list[str] = []

    def parent(name: str) -> Any:
        async def handler(input: Any, context: Any) -> None:
            await context.send_event("child")
            await context.step.run("parent", ran.append, name)

        return flow(handler)

    clock = FakeClock()
    driver = await start(parent("driver"), where("driver", ran, "child"), concurrency=1)
    other = await start(parent("other"), where("other", ran, "child"), resume=(), clock=clock)
    run = await other.submit(event())
    await soon(other.wait(run.id))
    await soon(other.idle())
    assert sorted(ran) == ["driver", "driver"]
    roots = {each.id: driver._store.reader.root(each.id) for each in driver._store.reader.runs()}
    assert sorted(roots.values(), key=str) == sorted([None, run.id], key=str)


async def test_an_engine_that_resumes_all_follows_a_driver_that_does_not(start: Open) -> None:
    ran: list[str] = []
    old = await start(where("old", ran))
    left = await old.submit(event(due=START + 1000))
    await old.close()
    script = await start(where("script", ran), resume=())
    await script.wait((await script.submit(event())).id)
    app = await start(where("app", ran), clock=FakeClock(START + 2000))
    while script._loop.live.get(left.id) is None:
        await asyncio.sleep(0.01)
    assert script.is_driver, "it is asked for what the app resumes"
    await script.close()
    assert (await soon(app.wait(left.id))).result == '"app"'


async def test_where_one_that_drove_on_the_side_dies_the_driver_goes_on(start: Open) -> None:
    ran: list[str] = []
    gates = Gate(), Gate()
    driver = await start(where("driver", ran))
    aside = await start(where("aside", ran, "secret", gates[0]), resume=())
    run = await aside.submit(event("secret"))
    await soon(gates[0].somebody())
    await driver.close()
    successor = await start(where("successor", ran, "secret", gates[1]), resume=())
    waiting = asyncio.create_task(successor.wait(run.id))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    aside._driving.release()  # as if it had been killed
    await soon(gates[1].somebody())
    gates[1].open()
    assert (await soon(waiting)).result == '"successor"'
    assert ran == ["aside"]


async def test_a_closing_driver_lets_what_it_executes_for_others_come_to_its_next_step(
    start: Open,
) -> None:
    ran: list[str] = []
    gate = Gate()

    def two(name: str) -> Any:
        async def handler(input: Any, context: Any) -> None:
            await context.step.run("one", gate.come)
            await context.step.run("two", ran.append, name)

        return flow(handler)

    driver = await start(two("driver"))
    other = await start(two("other"), resume=())
    run = await other.submit(event())
    await soon(gate.somebody())
    closing = asyncio.create_task(driver.close())
    await turns()
    gate.open()
    await soon(closing)
    assert (await soon(other.wait(run.id))).status is RunStatus.COMPLETED
    assert gate.entered == 1
    assert ran == ["other"]


async def test_nobody_takes_over_while_a_plain_step_of_a_closed_engine_goes_on(
    start: Open,
) -> None:
    handler, entered, go_on = busy_step()
    engine = await start(flow(handler))
    run = await engine.submit(event())
    while not entered.is_set():
        await asyncio.sleep(0.01)
    await engine.close()
    assert is_held(engine.path)
    entered.clear()
    other = await start(flow(handler))
    assert not other.is_driver
    go_on.set()
    assert (await asyncio.wait_for(other.wait(run.id), 50)).status is RunStatus.COMPLETED
    assert other.is_driver
