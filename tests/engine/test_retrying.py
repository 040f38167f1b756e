"""`retry()` of runs that have ended, and of those that have not."""

import asyncio
from typing import Any

import pytest

from kit.model.errors import RunNotFoundError, WorkflowNotFoundError
from kit.model.retry import RetryPolicy
from kit.model.run import RunStatus
from kit.store.sqlite.direct import delete

from .conftest import START, Open, event, fails, flow


async def test_a_dead_letter_is_retried_from_its_last_finished_step(start: Open) -> None:
    ran: list[str] = []
    healed = False

    async def flaky(input: Any, context: Any) -> None:
        await context.step.run("first", ran.append, "first")
        await context.step.run("second", (lambda: ran.append("second")) if healed else fails)

    engine = await start(flow(flaky), fast=True)
    run = await engine.submit(event())
    assert (await engine.wait(run.id)).status is RunStatus.FAILED
    healed = True
    again = await engine.retry(run.id)
    assert (again.attempt, again.failure, again.ended) == (0, None, None)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED
    assert ran == ["first", "second"]


async def test_a_retry_from_the_start_forgets_every_step(start: Open) -> None:
    ran: list[str] = []

    async def one(input: Any, context: Any) -> None:
        await context.step.run("one", ran.append, "one")

    engine = await start(flow(one))
    run = await engine.submit(event())
    for _ in range(2):
        await engine.wait(run.id)
        await engine.retry(run.id, from_start=True)
    await engine.wait(run.id)
    assert ran == ["one"] * 3
    await engine.retry(run.id)
    await engine.wait(run.id)
    assert ran == ["one"] * 3


async def test_a_retry_keeps_finished_steps_and_failures_that_were_dealt_with(
    start: Open,
) -> None:
    ran: list[str] = []

    def fail(what: str) -> None:
        ran.append(what)
        raise LookupError(what)

    async def handler(input: Any, context: Any) -> None:
        with pytest.raises(LookupError):
            await context.step.run("caught", fail, "caught")
        await context.step.run("charge", ran.append, "charge")
        await context.step.run("fatal", fail, "fatal")

    engine = await start(flow(handler, retry=RetryPolicy(0)))
    run = await engine.submit(event())
    assert (await engine.wait(run.id)).status is RunStatus.FAILED
    await engine.retry(run.id)
    assert (await engine.wait(run.id)).status is RunStatus.FAILED
    assert ran == ["caught", "charge", "fatal", "fatal"]
    await engine.retry(run.id, from_start=True)
    await engine.wait(run.id)
    assert ran[4:] == ["caught", "charge", "fatal"]


async def test_many_retries_at_once_are_one(start: Open) -> None:
    ran: list[str] = []

    async def one(input: Any, context: Any) -> None:
        await context.step.run("one", ran.append, "one")

    engine = await start(flow(one))
    run = await engine.submit(event())
    await engine.wait(run.id)
    await asyncio.gather(*(engine.retry(run.id, from_start=True) for _ in range(5)))
    await engine.wait(run.id)
    await engine.idle()
    assert ran == ["one", "one"]


async def test_a_run_is_waited_for_while_its_retry_is_on_its_way(start: Open) -> None:
    calls: list[Any] = []
    engine = await start(flow(calls.append))
    run = await engine.submit(event())
    await engine.wait(run.id)
    retrying = asyncio.create_task(engine.retry(run.id))
    await asyncio.sleep(0)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED
    await retrying
    assert len(calls) == 2


async def test_a_run_that_has_not_ended_is_not_retried(start: Open) -> None:
    engine = await start(flow(fails))
    run = await engine.submit(event(due=START + 1000))
    assert await engine.retry(run.id) == run


async def test_a_run_deleted_meanwhile_is_not_retried(start: Open, path: Any) -> None:
    engine = await start(flow(lambda: None))
    run = await engine.submit(event())
    await engine.wait(run.id)
    retrying = asyncio.create_task(engine.retry(run.id))
    # before the writer gets to it
    engine._store._writer.write(("DELETE FROM runs WHERE id = ?", (run.id,)))
    with pytest.raises(RunNotFoundError):
        await retrying
    assert not delete(path, run.id)


async def test_a_run_of_a_workflow_nobody_defines_is_not_retried(start: Open) -> None:
    engine = await start(flow(lambda: None))
    run = await engine.submit(event())
    await engine.wait(run.id)
    await engine.close()
    engine = await start()
    with pytest.raises(WorkflowNotFoundError, match="any more"):
        await engine.retry(run.id)


async def test_a_stop_of_an_earlier_life_does_not_stop_a_retried_run(
    start: Open, path: Any
) -> None:
    engine = await start(flow(lambda: None))
    run = await engine.submit(event())
    await engine.wait(run.id)
    engine._store._writer.write_along(
        ("INSERT INTO requests (run_id, what, at) VALUES (?, 'stop', 1)", (run.id,))
    )
    await engine.retry(run.id)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED
