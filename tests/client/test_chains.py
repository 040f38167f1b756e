"""What a run starts: it belongs to the run, and a circle of starts ends."""

import asyncio

import pytest

from kit import (
    Context,
    RunFailed,
    defer_workflow,
    define_workflow,
    get_workflow_run,
    run_workflow,
    send_event,
    send_events,
)
from kit.client.default import default

from .conftest import echo


async def test_what_a_handler_starts_belongs_to_its_run(project):
    @define_workflow
    async def parent(input: dict, context: Context):
        child = await run_workflow(echo, {"from": "parent"})
        deferred = await defer_workflow(echo, {"from": "deferred"})
        sent = await send_event("echo", {"from": "event"})
        await context.step.sleep("pause", 0)
        return [child.id, deferred.id, sent]

    run = await run_workflow(parent, {})
    ids = await run.result(50)

    assert len(set(ids)) == 3
    results = [await (await get_workflow_run(each)).result(50) for each in ids]
    assert [each["data"]["from"] for each in results] == ["parent", "deferred", "event"]


async def test_a_circle_of_starts_stops_at_the_limit_even_with_keys(project):
    @define_workflow(max_retries=0)
    async def circle(input: int, context: Context):
        sent = await send_events([{"name": "circle", "data": input + 1, "id": str(input + 1)}])
        if not sent[0].ok:
            raise sent[0].error
        return sent[0].event_id

    run = await run_workflow(circle, 0)
    for _ in range(18):
        run = await get_workflow_run(await run.result(50))
    with pytest.raises(RunFailed, match="number 20 in a chain"):
        await run.result(50)


async def test_a_started_run_with_a_key_within_a_run_continues_its_chain(project):
    @define_workflow
    async def parent(input: None, context: Context):
        return (await run_workflow(echo, {}, id="a key")).id

    child = await (await run_workflow(parent)).result(50)

    assert (await (await get_workflow_run(child)).details()).run.chain == ("parent",)


async def test_twenty_events_of_one_workflow_all_go_and_a_circle_ends(project):
    hops = []
    last = []

    @define_workflow
    async def target(input: int, context: Context):
        return input

    @define_workflow
    async def spread(input: None, context: Context):
        return [(await run_workflow(f"target-{n}", n)).id for n in range(20)]

    @define_workflow(max_retries=0)
    async def around(input: int, context: Context):
        last.append(context.event_id)
        hops.append(input)
        await run_workflow("around", input + 1)

    for n in range(20):
        default().catalog.admit(define_workflow(target.handler, name=f"target-{n}"))
    default().catalog.admit(around)
    ids = await (await run_workflow(spread)).result(50)
    assert [await (await get_workflow_run(each)).result(50) for each in ids] == list(range(20))

    await run_workflow(around, 1)
    async with asyncio.timeout(50):
        while len(hops) < 19:
            await asyncio.sleep(0)
    with pytest.raises(RunFailed, match=r"number 20 in a chain .* break the circle"):
        await (await get_workflow_run(last[-1])).result(50)
    assert hops == list(range(1, 20))
