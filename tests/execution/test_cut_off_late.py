"""What is cut off when it has just ended, while that is being stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.execution.envelope import as_cut, uncut
from kit.execution.memory import Memory
from kit.model.delivery import AfterStep, Checkpoint, CheckpointKind
from kit.model.event import Event
from kit.testing import Stage
from tests.support.delivering import until_ended

RUN_ID = "00000000-0000-4000-8000-000000000001"
CUT = CheckpointKind.CUT_OFF


class Slow(Stage):
    """A stage that takes its time to store something: until *cut* has happened, if that is set."""

    until: asyncio.Event | None = None

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        await super().commit(checkpoints)
        if self.until is not None:
            until, self.until = self.until, None
            await until.wait()


class Calls(list[str]):
    """The steps that were called."""

    def step(self, name: str, value: Any = None) -> Callable[[], Any]:
        async def function() -> Any:
            self.append(name)
            return value

        return function


async def played(handler: Any, after: AfterStep, *, slow: bool = True) -> Stage:
    """Deliver until the run has ended; the first commit takes until somebody is cut off."""
    stage = Slow(define_workflow(name="w")(handler), Event("w", None, RUN_ID), after)
    if slow:
        stage.until = asyncio.Event()
    return await until_ended(stage)


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_limit_that_ends_while_a_value_is_stored_ends_the_same_way_at_a_replay(
    after: AfterStep,
) -> None:
    calls = Calls()

    async def handler(input: Any, context: Context) -> list[str]:
        came: list[str] = []
        try:
            async with asyncio.timeout(0.02):
                came.append(await context.step.run("quick", calls.step("quick", "quick")))
        except TimeoutError:
            came.append(await context.step.run("fallback", calls.step("fallback", "fallback")))
        await context.step.sleep("nap", 60)
        came.append(await context.step.run("last", calls.step("last", "last")))
        return came

    stage = await played(handler, after)

    first = "fallback" if after is AfterStep.COMMIT else "quick"  # the others store at the end
    assert stage.played.completed, stage.played.failure
    assert stage.played.result == [first, "last"]
    assert calls.count("quick") == calls.count("last") == 1
    assert calls.count("fallback") == (after is AfterStep.COMMIT)


async def test_a_finished_step_that_a_failed_sibling_cuts_off_is_not_repeated() -> None:
    calls, attempts = Calls(), []

    async def handler(input: Any, context: Context) -> list[int]:
        async def fails_once() -> int:
            await asyncio.sleep(0.01)
            attempts.append(len(attempts))
            if len(attempts) == 1:
                raise ValueError
            return 2

        async with asyncio.TaskGroup() as group:
            one = group.create_task(context.step.run("one", calls.step("one", 1)))
            two = group.create_task(context.step.run("two", fails_once))
        return [one.result(), two.result()]

    stage = Slow(define_workflow(name="w")(handler), Event("w", None, RUN_ID), AfterStep.COMMIT)
    stage.until = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stage.until.set)
    await until_ended(stage)

    assert stage.played.result == [1, 2]
    assert calls == ["one"]


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_step_that_changed_code_cuts_off_no_more_comes_to_its_end(
    has_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.05)
    calls = Calls()
    limit: list[float | None] = [0.02]

    async def handler(input: Any, context: Context) -> Any:
        async def step() -> str:
            calls.append("step")
            if limit[0] and not has_ended:
                await asyncio.sleep(10)
            return "value"

        value = None
        with suppress(TimeoutError):
            async with asyncio.timeout(limit[0]):
                value = await context.step.run("step", step)
        limit[0] = None
        for number in range(3):
            await context.step.sleep(f"nap-{number}", 60)
        return value

    stage = await played(handler, AfterStep.COMMIT, slow=has_ended)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == "value"
    assert calls == ["step"] * (1 if has_ended else 2)


class KeepsInTheEnd(Slow):
    """A stage that stores nothing if nobody waits for it any more."""

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        if self.until is not None:
            until, self.until = self.until, None
            await until.wait()
        await super().commit(checkpoints)


async def test_what_was_to_be_stored_along_with_a_step_that_is_cut_off_is_stored_later() -> None:
    calls, has_failed = Calls(), asyncio.Event()

    async def handler(input: Any, context: Context) -> list[str]:
        came: list[str] = []

        async def fails() -> None:
            calls.append("fails")
            has_failed.set()
            raise LookupError

        async def ends() -> None:
            await has_failed.wait()

        async def first() -> None:
            with suppress(LookupError):
                await context.step.run("fails", fails)
            came.append("failed")

        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await asyncio.gather(first(), context.step.run("ends", ends))
        await context.step.sleep("nap", 60)
        return came

    stage = KeepsInTheEnd(
        define_workflow(name="w")(handler), Event("w", None, RUN_ID), AfterStep.COMMIT
    )
    stage.until = asyncio.Event()
    await until_ended(stage)

    assert stage.played.completed, stage.played.failure
    assert stage.played.result == ["failed"]
    assert calls == ["fails"]


def test_the_envelope_of_a_step_that_was_cut_off_late_keeps_its_value() -> None:
    assert uncut(as_cut('{"value":{"a":1}}')) == '{"value":{"a":1}}'
    assert uncut(as_cut('{"error":{}}')) is None
    assert uncut('{"cut":true}') is None
    assert uncut(None) is None


def test_what_was_stored_before_it_was_cut_off_is_forgotten_there_as_well() -> None:
    memory = Memory()
    stored = {"failed": '{"error":{}}', "nap": None, "ended": '{"value":1}'}
    for step_id, text in stored.items():
        kind = CheckpointKind.STEP if text else CheckpointKind.SLEEP
        memory.record(step_id, kind, text, 1, 2)
    memory.take()
    for step_id in stored:
        memory.cut_off(step_id, 3)

    assert [each.kind for each in memory.fresh] == [CUT, CUT, CUT]
    assert memory.forget([]) == ("failed", "nap")
    assert memory.fresh == [Checkpoint("ended", CheckpointKind.STEP, '{"value":1}', 1, 3, 2)]
