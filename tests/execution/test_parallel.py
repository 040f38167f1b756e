from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import AfterStep, Completed, Sleep, Suspended

if TYPE_CHECKING:
    from conftest import Deliver, Delivered


async def answer(value: Any) -> Any:
    return value


async def slowly(value: Any) -> Any:
    for _ in range(30):
        await asyncio.sleep(0)
    return value


async def gathered(input: Any, context: Context) -> list[int]:
    step = context.step
    return await asyncio.gather(
        step.run("a", answer, 1), step.run("b", slowly, 2), step.run("c", lambda: 3)
    )


async def grouped(input: Any, context: Context) -> list[int]:
    async with asyncio.TaskGroup() as group:
        steps = [
            group.create_task(context.step.run("a", answer, 1)),
            group.create_task(context.step.run("b", slowly, 2)),
            group.create_task(context.step.run("c", lambda: 3)),
        ]
    return [step.result() for step in steps]


@pytest.mark.parametrize("handler", [gathered, grouped])
async def test_steps_side_by_side_are_one_group(deliver: Deliver, handler: Any) -> None:
    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert sorted(stage.checkpoints) == ["a", "b", "c"]
    stage = await deliver(handler, stage.checkpoints)
    assert stage.outcome == Completed("[1,2,3]")
    assert stage.started == []


@pytest.mark.parametrize("handler", [gathered, grouped])
async def test_with_commits_they_are_one_invocation(deliver: Deliver, handler: Any) -> None:
    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("[1,2,3]")


async def branches(input: Any, context: Context) -> list[int]:
    async def branch(name: str, length: int) -> int:
        total = 0
        for i in range(length):
            total += await context.step.run(f"{name}{i}", slowly if i % 2 else answer, i)
        return total

    return await asyncio.gather(branch("a", 3), branch("b", 1), branch("c", 4))


async def test_branches_of_unequal_length_advance_together(deliver: Deliver) -> None:
    stage, rounds = await deliver(branches), []
    while isinstance(stage.outcome, Suspended):
        rounds.append(sorted(stage.started))
        stage = await deliver(branches, stage.checkpoints)
    assert rounds == [["a0", "b0", "c0"], ["a1", "c1"], ["a2", "c2"], ["c3"]]
    assert stage.outcome == Completed("[3,0,6]")


async def test_a_step_beside_a_sleep_is_stored_with_it(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> Any:
        done = asyncio.gather(context.step.run("a", slowly, 1), context.step.sleep("nap", 60))
        return (await done)[0]

    for after in AfterStep:
        stage = await deliver(handler, after=after)
        assert isinstance(stage.outcome, Suspended)
        assert stage.outcome.sleeps == (Sleep("nap", stage.asked_at["nap"] + 60_000),)
        assert set(stage.checkpoints) == {"a", "nap"}
        stage = await deliver(handler, stage.checkpoints, after=after)
        assert stage.outcome == Completed("1")


async def test_sleeps_side_by_side_are_asked_for_together(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await asyncio.gather(*(context.step.sleep(f"n{i}", i) for i in range(3)))

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Suspended)
    assert [sleep.step_id for sleep in stage.outcome.sleeps] == ["n0", "n1", "n2"]
    assert isinstance((await deliver(handler, stage.checkpoints)).outcome, Completed)


async def test_a_branch_busy_outside_steps_for_too_long_is_cut_and_begins_again(
    deliver: Deliver, make_stage: type[Delivered], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)
    lives: list[str] = []

    async def handler(input: Any, context: Context) -> None:
        async def busy() -> None:
            await context.step.run("b1", answer, 1)
            try:
                await asyncio.sleep(0 if lives else 3600)
            finally:
                lives.append("over")
            await context.step.run("b2", answer, 1)

        await asyncio.gather(context.step.sleep("nap", 1), busy())

    stage = make_stage(AfterStep.COMMIT)
    stage.linger = 0.05
    await deliver(handler, stage=stage)
    assert isinstance(stage.outcome, Suspended)
    assert lives == ["over"]
    stage = await deliver(handler, stage.checkpoints, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Completed)


async def test_a_late_branch_of_a_replay_is_waited_for(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        async def late() -> None:
            await asyncio.sleep(0.05)
            await context.step.run("late", answer, 1)

        async def early() -> None:
            await context.step.run("e1", answer, 1)
            await asyncio.sleep(0.1)
            await context.step.run("e2", answer, 1)
            await context.step.run("e3", answer, 1)

        await asyncio.gather(early(), late())

    first = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(first.outcome, Completed)
    del first.checkpoints["e2"], first.checkpoints["e3"]
    stage = await deliver(handler, first.checkpoints, after=AfterStep.COMMIT)
    assert isinstance(stage.outcome, Completed)
    assert stage.started == ["e2", "e3"]


async def test_a_branch_that_begins_a_step_as_the_handler_ends_does_not_begin_it(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> str:
        async def straggler() -> None:
            await context.step.run("a", slowly, 1)
            await context.step.run("b", answer, 1)

        handler.kept = asyncio.create_task(straggler())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "done"

    for after in AfterStep:
        stage = await deliver(handler, after=after)
        assert isinstance(stage.outcome, Completed)
        assert list(stage.checkpoints) == ["a"]
        assert stage.started == ["a"]


async def test_nothing_begins_after_the_handler_has_ended(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> str:
        async def straggler() -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            await context.step.run("b", answer, 1)

        handler.kept = [  # type: ignore[attr-defined]
            asyncio.create_task(context.step.run("a", slowly, 1)),
            asyncio.create_task(straggler()),
        ]
        await asyncio.sleep(0)
        return "done"

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed('"done"')
    assert stage.started == ["a"]


async def test_many_steps_side_by_side(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> int:
        steps = [context.step.run(f"s{i}", answer, i) for i in range(500)]
        return sum(await asyncio.gather(*steps))

    stage = await deliver(handler)
    assert len(stage.checkpoints) == 500
    stage = await deliver(handler, stage.checkpoints)
    assert stage.outcome == Completed(str(sum(range(500))))


async def test_plain_steps_wait_in_threads_of_their_own(deliver: Deliver) -> None:
    together = threading.Barrier(50, timeout=30)

    async def handler(input: Any, context: Context) -> int:
        steps = [context.step.run(f"s{i}", together.wait) for i in range(50)]
        return len(await asyncio.gather(*steps))

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("50")


async def test_plain_calls_nested_a_hundred_deep_in_parallel_do_not_block(
    deliver: Deliver,
) -> None:
    def handler(input: Any, context: PlainContext) -> int:
        def nest(name: str, depth: int) -> int:
            if depth == 0:
                return 0
            return 1 + context.step.run(f"{name}{depth}", nest, name, depth - 1)

        with ThreadPoolExecutor(4) as pool:
            return sum(pool.map(lambda name: nest(name, 100), "abcd"))

    stage = await deliver(handler, after=AfterStep.COMMIT)
    assert stage.outcome == Completed("400")
