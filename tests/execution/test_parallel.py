from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kit import define_workflow
from kit.execution.context import Context, PlainContext
from kit.execution.standing import standing_of
from kit.execution.threads import NAME
from kit.model.delivery import AfterStep, Completed, Failed, Sleep, Suspended
from kit.testing import play

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


async def nested(input: Any, context: Context) -> int:
    async def outer() -> int:
        one, other = await asyncio.gather(
            context.step.run("in1", answer, 1), context.step.run("in2", slowly, 2)
        )
        return one + other + await context.step.run("in3", answer, 3)

    return await context.step.run("outer", outer) + await context.step.run("after", answer, 10)


async def test_steps_within_a_step_suspend_with_it(deliver: Deliver) -> None:
    stage = await deliver(nested)
    assert set(stage.checkpoints) == {"in1", "in2", "in3", "outer"}
    stage = await deliver(nested, stage.checkpoints)
    assert stage.started == ["after"]
    stage = await deliver(nested, stage.checkpoints)
    assert stage.outcome == Completed("16")


@pytest.mark.parametrize("how", ["failed", "misused"])
async def test_steps_within_a_step_end_though_the_handler_has(deliver: Deliver, how: str) -> None:
    """Else the outer one would wait for them for ever, and the invocation for that."""

    async def handler(input: Any, context: Context) -> None:
        async def outer() -> list[int]:
            begun.set()
            await ended.wait()
            await slowly(None)
            return await asyncio.gather(
                context.step.run("in1", slowly, 1), context.step.run("in2", slowly, 2)
            )

        async def ends() -> None:
            await begun.wait()
            ended.set()
            if how == "misused":
                await context.step.run("", answer, 1)
            raise ValueError

        begun, ended = asyncio.Event(), asyncio.Event()
        await asyncio.gather(context.step.run("outer", outer), ends())

    for after in AfterStep:
        stage = await asyncio.wait_for(deliver(handler, after=after), 20)
        assert {"in1", "in2", "outer"} <= {*stage.checkpoints}
        assert isinstance(stage.outcome, Failed | Suspended)


async def test_an_outer_step_that_failed_keeps_its_inner_steps(deliver: Deliver) -> None:
    fails = [True]

    async def handler(input: Any, context: Context) -> int:
        async def outer() -> int:
            inner = await context.step.run("inner", answer, 1)
            if fails:
                raise ValueError("once")
            return inner + await context.step.run("more", answer, 1)

        return await context.step.run("outer", outer)

    for after in AfterStep:
        fails[:] = [True]
        stage = await deliver(handler, after=after)
        assert set(stage.checkpoints) >= {"inner"}
        assert "outer" not in stage.checkpoints
        fails.clear()
        known = stage.checkpoints
        stage = await deliver(handler, known, after=after)
        assert stage.started == ["outer", "more"]
        assert set(stage.checkpoints) >= {"inner", "outer", "more"}
        stage = await deliver(handler, stage.checkpoints, after=after)
        assert stage.outcome == Completed("2")


async def test_an_inner_failure_is_no_checkpoint_the_handler_must_ask_for(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> str:
        async def outer() -> None:
            await context.step.run("inner", fail)

        with pytest.raises(ValueError, match="bad"):
            await context.step.run("outer", outer)
        return await context.step.run("after", answer, "x")

    async def fail() -> None:
        raise ValueError("bad")

    for after in AfterStep:
        stage = await deliver(handler, after=after)
        assert set(stage.checkpoints) == {"inner", "outer", "after"}
        stage = await deliver(handler, stage.checkpoints, after=after)
        assert stage.outcome == Completed('"x"')
        assert stage.started == []


async def test_a_sleep_within_a_step_is_refused(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        await context.step.run("outer", lambda: context.step.sleep("nap", 1))

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert "sleep 'nap' stands within step 'outer'" in stage.outcome.failure.message
    assert stage.outcome.retry_in is None


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


async def test_threads_of_a_plain_handler_are_branches(deliver: Deliver) -> None:
    def handler(input: Any, context: PlainContext) -> int:
        with ThreadPoolExecutor(3) as pool:
            return sum(pool.map(lambda i: context.step.run(f"s{i}", lambda: i), range(3)))

    stage: Delivered = await deliver(handler)
    rounds = 1
    while isinstance(stage.outcome, Suspended):
        stage = await deliver(handler, stage.checkpoints)
        rounds += 1
    assert stage.outcome == Completed("3")
    assert rounds <= 4


def in_threads(input: Any, context: PlainContext) -> list[int]:
    def branch(number: int) -> int:
        value = context.step.run(f"first {number}", lambda: number)
        context.step.sleep(f"nap {number}", 60)
        return int(context.step.run(f"last {number}", lambda: value))

    with ThreadPoolExecutor(3) as pool:
        return [*pool.map(branch, range(3))]


@pytest.fixture
def without_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the threads that were there before: what runs the tests may read from a pipe."""
    kept = {each.ident for each in threading.enumerate() if each.name == NAME}
    before = {*sys._current_frames()} - kept

    def frames() -> dict[int, Any]:
        return {at: each for at, each in sys._current_frames().items() if at not in before}

    monkeypatch.setattr("kit.execution.idling.sys", SimpleNamespace(_current_frames=frames))


@pytest.mark.usefixtures("without_strangers")
@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_threads_that_wait_for_each_other_are_not_taken_for_busy(
    replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("kit.testing.stage.LINGER_SECONDS", 3600)
    played = play(define_workflow(name="threads")(in_threads), replay=replay)
    assert played.result == [0, 1, 2]
    assert sorted(played.steps) == sorted(f"{w} {n}" for w in ("first", "last") for n in range(3))


@pytest.mark.usefixtures("without_strangers")
def test_a_thread_that_is_busy_beside_a_sleep_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("kit.testing.stage.LINGER_SECONDS", 3600)
    began: list[int] = []

    @define_workflow(name="busy-threads")
    def busy(input: Any, context: PlainContext) -> None:
        def works() -> None:
            began.append(1)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                sum(range(1000))
            context.step.run("late", lambda: began.append(2))

        with ThreadPoolExecutor(2) as pool:
            work = pool.submit(works)
            while not began:  # it is in code of its own from then on
                time.sleep(0.001)
            nap = pool.submit(context.step.sleep, "day", 86_400)
            work.result()
            nap.result()

    played = play(busy, replay="pauses")
    assert played.completed
    assert began[:2] == [1, 2]


async def with_a_lock(input: Any, context: Context) -> list[int]:
    lock = asyncio.Lock()

    async def branch(number: int) -> int:
        async with lock:
            return await context.step.run(f"step-{number}", answer, number)

    return await asyncio.gather(*(branch(number) for number in range(3)))


async def with_a_queue(input: Any, context: Context) -> list[int]:
    queue: asyncio.Queue[int] = asyncio.Queue()
    done: list[int] = []

    async def worker() -> None:
        while True:
            number = await queue.get()
            done.append(await context.step.run(f"step-{number}", answer, number))
            queue.task_done()

    for number in range(3):
        queue.put_nowait(number)
    workers = [asyncio.create_task(worker()) for _ in range(2)]
    await queue.join()
    for each in workers:
        each.cancel()
    return done


@pytest.mark.parametrize("handler", [with_a_lock, with_a_queue])
def test_who_waits_for_a_lock_or_a_queue_is_not_waited_for(
    handler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 3600)
    played = play(define_workflow(name="locked")(handler))
    assert played.result == [0, 1, 2]
    assert played.steps == ["step-0", "step-1", "step-2"]


def test_what_a_lock_keeps_from_being_asked_for_does_not_hold_up_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 3600)
    tries: list[int] = []

    async def work(number: int) -> int:
        tries.append(number)
        if tries == [0]:
            raise OSError(number)
        return number

    @define_workflow(name="limited")
    async def limited(input: Any, context: Context) -> list[int]:
        limit = asyncio.Semaphore(1)

        async def branch(number: int) -> int:
            async with limit:
                return await context.step.run(f"step-{number}", work, number)

        found = await asyncio.gather(*(branch(n) for n in range(4)), return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return [each for each in found if isinstance(each, int)]

    played = play(limited, replay="pauses")
    assert played.result == [0, 1, 2, 3]
    assert tries == [0, 1, 2, 3, 0]
    assert len(played.failures) == 1


def test_branches_that_wait_for_a_semaphore_are_not_looked_at_for_each_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[object] = []

    def counted(coroutine: Any, others: Any) -> Any:
        looks.append(coroutine)
        return standing_of(coroutine, others)

    monkeypatch.setattr("kit.execution.looking.standing_of", counted)

    @define_workflow(name="many")
    async def many(input: Any, context: Context) -> int:
        limit = asyncio.Semaphore(5)

        async def branch(number: int) -> int:
            async with limit:
                return await context.step.run(f"step-{number}", answer, number)

        return sum(await asyncio.gather(*(branch(number) for number in range(200))))

    assert play(many, replay="pauses").result == 199 * 100
    assert len(looks) < 200 * 10
