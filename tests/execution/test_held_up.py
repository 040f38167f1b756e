"""Branches that hold each other up, by locks, queues and semaphores."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.execution.standing import standing_of
from kit.testing import play


async def answer(value: Any) -> Any:
    return value


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
