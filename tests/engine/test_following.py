"""Who waits for runs that another process executes is told of their steps, from the file."""

import asyncio
from typing import Any

from kit.model.progress import Progress

from .conftest import FakeClock, Gate, Open, event, flow


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 50)


async def test_what_another_engine_makes_of_a_run_is_told(start: Open, clock: FakeClock) -> None:
    gate = Gate()

    async def handler(input: Any, context: Any) -> str:
        await context.step.run("first", str)
        await context.step.sleep("nap", 60)
        if not context.attempt:
            await context.step.run("bad", fails)
        await context.send_event("heard")
        await context.step.run("gate", gate.come)
        return "done"

    def fails() -> None:
        raise LookupError

    told: list[Progress] = []
    workflows = flow(handler), flow(lambda: None, "heard")
    driver = await start(*workflows)
    other = await start(*workflows, resume=(), observe=told.append, follow=True)
    run = await other.submit(event())
    waiting = asyncio.create_task(other.wait(run.id))
    while "run-sleeps" not in [each.what for each in told]:
        await asyncio.sleep(0.01)
    while "attempt-failed" not in [each.what for each in told]:
        clock.advance(60_000)
        await asyncio.sleep(0.01)
    clock.advance(10**7)
    await soon(gate.somebody())
    gate.open()
    await soon(waiting)
    mine = [each for each in told if each.run_id == run.id]
    kinds = [str(each.what) for each in mine]
    assert [kind for kind in kinds if kind not in ("step-started", "run-started")] == [
        "step-finished",
        "slept",
        "run-sleeps",
        "attempt-failed",
        "event-sent",
        "step-finished",
        "run-ended",
    ]
    assert kinds[0] == "run-started"
    sleeps = next(each for each in mine if each.what == "run-sleeps")
    assert sleeps.data["asleep"] == 60_000
    assert driver.is_driver


async def test_who_executes_runs_or_does_not_follow_is_told_of_its_own_only(start: Open) -> None:
    told: list[Progress] = []
    driver = await start(flow(lambda: None), observe=told.append, follow=True)
    quiet: list[Progress] = []
    other = await start(flow(lambda: None), resume=(), observe=quiet.append)
    run = await other.submit(event())
    await soon(other.wait(run.id))
    mine = await driver.submit(event())
    await soon(driver.wait(mine.id))
    assert [str(each.what) for each in told if each.own] == ["run-started", "run-ended"]
    assert quiet == []
