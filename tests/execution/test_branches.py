"""Branches side by side, replayed: with kills at every point between, in both modes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, CheckpointKind, Completed
from kit.model.event import Event
from kit.model.retry import RetryPolicy
from kit.testing.stage import START, Stage

from .handlers import Boom, one
from .killed import BOTH, RUN_ID, finish, killed, stage_of


async def sleeps_or_works_then_sends(input: Any, context: Context) -> str:
    async def sleeper() -> None:
        await context.step.sleep("nap", 1)
        await context.send_event("e", {"from": "sleeper"})
        await context.send_event("same")

    async def worker() -> None:
        await context.step.run("work", one)
        await context.send_event("e", {"from": "worker"})
        await context.send_event("same")

    await asyncio.gather(sleeper(), worker())
    return "done"


async def test_branches_that_send_events_of_one_name_send_each_once() -> None:
    for stage in killed(lambda after: stage_of(sleeps_or_works_then_sends, after)):
        played = await finish(stage)
        assert played.result == "done"
        sent = Counter((each.name, str(each.data)) for each in played.sent)
        assert sent == {
            ("e", "{'from': 'sleeper'}"): 1,
            ("e", "{'from': 'worker'}"): 1,
            ("same", "None"): 2,
        }


async def test_an_id_of_its_own_makes_an_event_the_same_whoever_sends_it() -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        async def branch(number: int) -> str:
            await context.step.run(f"s{number}", one)
            return await context.send_event("e", number, id="only")

        return sorted({*await asyncio.gather(branch(1), branch(2))})

    for stage in killed(lambda after: stage_of(handler, after)):
        played = await finish(stage)
        assert [each.id for each in played.sent] == played.result


async def test_a_step_that_is_cut_off_is_not_begun_again() -> None:
    begun: list[int] = []

    async def slow() -> None:
        begun.append(1)
        await asyncio.sleep(3600)

    async def handler(input: Any, context: Context) -> int:
        try:
            async with asyncio.timeout(0.02):
                await context.step.run("slow", slow)
        except TimeoutError:
            value = await context.step.run("fallback", lambda: 7)
        await context.step.sleep("nap", 60)
        return value

    for after in BOTH:
        begun.clear()
        played = await finish(stage_of(handler, after))
        assert (played.result, begun, played.failures) == (7, [1], [])
        assert played.checkpoints["slow"].kind is CheckpointKind.CUT_OFF


async def test_a_sleep_that_is_cut_off_by_a_branch_is_cut_off_again() -> None:
    async def handler(input: Any, context: Context) -> str:
        nap = asyncio.create_task(context.step.sleep("timeout", 3600))
        work = asyncio.create_task(context.step.run("work", one))
        done, pending = await asyncio.wait({nap, work}, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        await context.step.sleep("later", 10)
        return "worked" if work in done else "gave up"

    for stage in killed(lambda after: stage_of(handler, after)):
        played = await finish(stage)
        assert played.result == "worked"
        assert played.elapsed == 10_000


ORDERS: list[Any] = []


async def in_order_of_completion(input: Any, context: Context) -> list[str]:
    async def branch(name: str, turns: int) -> str:
        async def act() -> str:
            for _ in range(turns):
                await asyncio.sleep(0)
            return name

        value = await context.step.run(name, act)
        appended.append(value)
        return str(value)

    appended: list[str] = []
    tasks = [asyncio.create_task(branch(*each)) for each in (("a", 30), ("b", 5), ("c", 60))]
    if input == "completed":
        first = await next(asyncio.as_completed(tasks))
    else:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = "+".join(sorted(each.result() for each in done))
    await context.step.run(f"first was {first}", one)
    await context.step.sleep("nap", 1)
    await asyncio.gather(*tasks)
    ORDERS.append((first, appended))
    await context.step.sleep("another", 1)
    return [first, *appended]


@pytest.mark.parametrize("how", ["completed", "first"])
async def test_what_is_completed_first_is_so_at_every_replay(how: str) -> None:
    def make(after: AfterStep) -> Stage:
        stage = stage_of(in_order_of_completion, after)
        stage.event = Event("w", how, RUN_ID)
        return stage

    for stage in killed(make):
        ORDERS.clear()
        played = await finish(stage)
        assert played.failures == []
        assert all(each == ORDERS[-1] for each in ORDERS)
        assert played.result == [ORDERS[-1][0], *ORDERS[-1][1]]


async def test_each_branch_wakes_at_its_own_time() -> None:
    at: dict[str, int] = {}

    async def handler(input: Any, context: Context) -> str:
        async def branch(name: str, seconds: int) -> None:
            await context.step.sleep(f"nap {name}", seconds)
            await context.step.run(name, lambda: at.setdefault(name, stage.clock - START))

        await asyncio.gather(branch("short", 1), branch("long", 4))
        return "done"

    for stage in killed(lambda after: stage_of(handler, after)):
        at.clear()
        played = await finish(stage)
        assert played.result == "done"
        assert at == {"short": 1000, "long": 4000}
        assert played.elapsed == 4000


@pytest.mark.parametrize("after", BOTH)
async def test_a_branch_that_is_busy_is_waited_for_by_one_that_asks_for_something_new(
    after: AfterStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.02)
    is_slow = False

    async def handler(input: Any, context: Context) -> list[str]:
        async def busy() -> str:
            await asyncio.sleep(0.2 if is_slow else 0)
            return str(await context.step.run("busy", lambda: "busy"))

        async def eager() -> str:
            return str(await context.step.run("eager", lambda: "eager"))

        return await asyncio.gather(busy(), eager())

    stage = stage_of(handler, after)
    await stage.deliver()
    stage.has_ended = False
    del stage.checkpoints["eager"]
    is_slow = True
    played = await finish(stage)
    assert played.result == ["busy", "eager"]
    assert played.failures == []


async def test_a_thousand_steps_side_by_side_and_replayed() -> None:
    async def handler(input: Any, context: Context) -> int:
        steps = (context.step.run(str(number), one) for number in range(1000))
        total = sum(await asyncio.gather(*steps))
        await context.step.sleep("nap", 1)
        return total

    for after in BOTH:
        played = await finish(stage_of(handler, after))
        assert played.result == 1000
        assert len(played.steps) == 1000


async def test_steps_within_steps_and_threads_in_branches_are_not_repeated() -> None:
    called: Counter[str] = Counter()

    async def handler(input: Any, context: Context) -> list[Any]:
        def plain(name: str) -> str:
            called[name] += 1
            return name

        async def outer(name: str) -> str:
            called[name] += 1
            inner = [context.step.run(f"{name}-{n}", plain, f"{name}-{n}") for n in range(2)]
            return "+".join(await asyncio.gather(*inner))

        async def branch(name: str) -> str:
            first = await context.step.run(name, outer, name)
            await context.step.sleep(f"nap {name}", 1)
            return first + await context.step.run(f"{name} last", plain, f"{name} last")

        return await asyncio.gather(branch("x"), branch("y"))

    for after in BOTH:
        called.clear()
        played = await finish(stage_of(handler, after))
        assert played.result == ["x-0+x-1x last", "y-0+y-1y last"]
        assert set(called.values()) == {1}


async def test_completed_is_not_taken_for_the_end_while_something_comes_first() -> None:
    """A failure is told of at once; but what was done before it is what counts."""

    async def handler(input: Any, context: Context) -> int:
        async def fail() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            raise Boom

        tasks = [
            asyncio.create_task(context.step.run("good", one)),
            asyncio.create_task(context.step.run("bad", fail)),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        assert all(each.exception() is None or each is tasks[1] for each in done)
        return len(pending)

    for after in BOTH:
        stage = stage_of(handler, after, retry=RetryPolicy(0))
        assert (await finish(stage)).result == 0
        assert isinstance(stage.outcome, Completed)
