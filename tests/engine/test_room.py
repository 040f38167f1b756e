"""How many runs go on at once, and which."""

import asyncio
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.model.run import RunStatus

from .conftest import START, FakeClock, Gate, Open, event, finished, flow


async def test_a_run_that_finds_no_room_reserved_is_released(start: Open) -> None:
    ended = Gate()
    engine = await start(flow(ended.come), concurrency=1)
    ended.open()
    first = await finished(engine)
    late = event()
    again, _ = await asyncio.gather(
        engine.submit(event(id=first.id)),  # reserves room that it does not need
        engine.submit(late),
    )
    assert again == first
    assert (await engine.wait(late.id)).status is RunStatus.COMPLETED


async def test_no_more_runs_go_on_than_there_is_room_for(start: Open, clock: FakeClock) -> None:
    going: list[int] = [0, 0]

    async def counted(input: Any, context: Any) -> None:
        going[0] += 1
        going[1] = max(going)
        await asyncio.sleep(0)
        await context.step.run("a", lambda: None)
        going[0] -= 1

    engine = await start(flow(counted), concurrency=2)
    delayed = [event(due=START + 10) for _ in range(4)]
    await asyncio.gather(*(engine.submit(each) for each in delayed))
    sending = [asyncio.create_task(engine.submit(event())) for _ in range(4)]
    await asyncio.sleep(0)
    clock.advance(10)  # while room is reserved for runs on their way to the disk
    await asyncio.gather(*sending)
    await engine.idle()
    assert going == [0, 2]
    assert {run.status for run in engine._store.reader.runs()} == {RunStatus.COMPLETED}


async def test_with_room_for_one_the_most_urgent_goes_first(start: Open) -> None:
    gate, order = Gate(), []

    async def first() -> None:
        await gate.come()

    engine = await start(flow(first, "first"), flow(order.append), concurrency=1)
    await engine.submit(event("first"))
    await gate.somebody()
    for priority in (0, -5, 50, 0):
        await engine.submit(event("flow", [priority, len(order)], priority=priority))
    assert engine._store.reader.runs(statuses=[RunStatus.RUNNING], limit=9)
    gate.open()
    await engine.idle()
    assert [each[0] for each in order] == [50, 0, 0, -5]


async def test_a_full_engine_does_not_spin_while_runs_are_due(
    start: Open, clock: FakeClock
) -> None:
    gate = Gate()
    engine = await start(flow(gate.come), concurrency=1)
    await engine.submit(event())
    await gate.somebody()
    await engine.submit(event(due=START + 10))
    clock.advance(20)
    assert clock.next_due() is None
    gate.open()
    await engine.idle()
    assert gate.entered == 2


async def test_an_engine_has_room_for_one_run_at_least(path: Any) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Engine(path, {}.get, concurrency=0)


async def test_runs_that_wait_for_others_hold_no_place(start: Open) -> None:
    engines: list[Any] = []

    async def child(input: int) -> int:
        return input

    async def parent(input: int, context: Any) -> Any:
        async def waits() -> Any:
            run = await engines[0].submit(event("child", data=input))
            return (await engines[0].wait(run.id)).result

        return await context.step.run("wait", waits)

    engines.append(await start(flow(parent), flow(child, "child"), concurrency=2))
    runs = [await engines[0].submit(event(data=n)) for n in range(6)]
    ended = [await asyncio.wait_for(engines[0].wait(run.id), 50) for run in runs]
    assert [run.result for run in ended] == [f'"{n}"' for n in range(6)]
    assert engines[0]._loop._lent == 0
