"""Which failures are to blame for an attempt that ended badly, and are tried again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep
from kit.model.retry import RetryPolicy

from .handlers import Boom
from .killed import BOTH, finish, stage_of


async def test_a_failure_that_was_dealt_with_is_not_tried_again_and_the_last_one_is() -> None:
    tried: Counter[str] = Counter()

    async def fail(name: str, times: int) -> str:
        tried[name] += 1
        if tried[name] <= times:
            raise Boom(name)
        return name

    async def handler(input: Any, context: Context) -> str:
        with pytest.raises(Boom):
            await context.step.run("caught", fail, "caught", 100)
        await context.step.run("between", fail, "between", 0)
        return await context.step.run("last", fail, "last", 1)

    for after in BOTH:
        tried.clear()
        played = await finish(stage_of(handler, after))
        assert played.result == "last"
        assert tried == {"caught": 1, "between": 1, "last": 2}


def raise_again(error: Boom, how: str) -> None:
    """Raise *error* or another in its place, in an `except` clause."""
    if how == "plain":
        raise error
    if how == "from":
        raise RuntimeError("wrapped") from error
    if how == "group":
        raise ExceptionGroup("g", [error]) from None
    if how == "none":
        raise RuntimeError("wrapped") from None
    raise RuntimeError("wrapped")


@pytest.mark.parametrize("how", ["plain", "from", "within", "group", "none"])
async def test_a_compensated_failure_is_tried_again_however_it_is_raised(how: str) -> None:
    tried: Counter[str] = Counter()

    async def step(name: str, fails: int = 0) -> str:
        tried[name] += 1
        if tried[name] <= fails:
            raise Boom(name)
        return name

    async def handler(input: Any, context: Context) -> str:
        await context.step.run("before", step, "before")
        try:
            await context.step.run("charge", step, "charge", 2)
        except Boom as error:
            await context.step.run(f"refund-{context.attempt}", step, "refund")
            raise_again(error, how)
        return await context.step.run("after", step, "after")

    for after in BOTH:
        tried.clear()
        played = await finish(stage_of(handler, after))
        assert played.result == "after"
        assert tried == {"before": 1, "charge": 3, "refund": 2, "after": 1}
        assert len(played.failures) == 2


async def test_a_failure_beside_a_sleeper_is_tried_again_and_the_sleeper_is_not() -> None:
    tried: Counter[str] = Counter()

    async def step(name: str, fails: int = 0) -> str:
        tried[name] += 1
        if tried[name] <= fails:
            raise Boom(name)
        return name

    async def handler(input: Any, context: Context) -> list[Any]:
        async def sleeper() -> str:
            await context.step.run("before", step, "before")
            await context.step.sleep("nap", 60)
            return await context.step.run("woken", step, "woken")

        found = await asyncio.gather(
            context.step.run("flaky", step, "flaky", 1), sleeper(), return_exceptions=True
        )
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return found

    for after in BOTH:
        tried.clear()
        played = await finish(stage_of(handler, after))
        assert played.result == ["flaky", "woken"]
        assert tried == {"flaky": 2, "before": 1, "woken": 1}


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("how", ["plain", "from", "group", "none"])
async def test_what_made_a_step_fail_from_within_is_tried_again_after_a_replay_too(
    how: str, after: AfterStep
) -> None:
    tried: Counter[str] = Counter()

    async def step(name: str, fails: int = 0) -> str:
        tried[name] += 1
        if tried[name] <= fails:
            raise Boom(name)
        return name

    async def handler(input: Any, context: Context) -> str:
        run = context.step.run

        async def middle() -> str:
            return await run("flaky", step, "flaky", 1)

        async def outer() -> str:
            await run("finished", step, "finished")
            with pytest.raises(Boom):
                await run("dealt with", step, "dealt with", 100)
            try:
                return await run("middle", middle)
            except Boom as error:
                raise_again(error, how)
                raise

        try:
            return await run("outer", outer)
        except Exception:
            await run("log", step, "log")
            await context.step.sleep("nap", 60)
            raise

    played = await finish(stage_of(handler, after, retry=RetryPolicy(1)))
    assert played.result == "flaky"
    assert tried == {"finished": 1, "dealt with": 1, "flaky": 2, "log": 1}
    assert len(played.failures) == 1


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_step_is_not_to_blame_for_what_failed_within_another(after: AfterStep) -> None:
    tried: Counter[str] = Counter()

    async def step(name: str, fails: int = 0) -> str:
        tried[name] += 1
        if tried[name] <= fails:
            raise Boom(name)
        return name

    async def handler(input: Any, context: Context) -> list[str]:
        run = context.step.run

        async def within(name: str, fails: int) -> str:
            return await run(f"in {name}", step, f"in {name}", fails)

        found: list[str] = []
        try:
            await run("first", within, "first", 100)
        except Boom:
            try:
                found.append(await run("second", within, "second", 1))
            except Boom as error:
                failed = error
                await run("log", step, "log")
                failed.__context__ = None  # the first was dealt with
                raise failed from None
        return found

    played = await finish(stage_of(handler, after, retry=RetryPolicy(1)))
    assert played.result is not None, played.failure
    assert tried == {"in first": 1, "in second": 2, "log": 1}


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("is_within", [False, True])
async def test_what_cannot_succeed_is_not_tried_again_after_a_replay_either(
    is_within: bool, after: AfterStep
) -> None:
    calls: list[str] = []

    async def pay() -> object:
        calls.append("pay")
        return object()

    async def handler(input: Any, context: Context) -> None:
        try:
            if is_within:
                await context.step.run("outer", lambda: context.step.run("pay", pay))
            await context.step.run("pay", pay)
        except Exception:
            await context.step.run("log", calls.append, "log")
            await context.step.sleep("nap", 60)
            raise

    played = await finish(stage_of(handler, after))
    assert calls == ["pay", "log"]
    assert len(played.failures) == 1
    assert played.failure is not None
    assert "the value of step 'pay' cannot be stored" in played.failure.message
