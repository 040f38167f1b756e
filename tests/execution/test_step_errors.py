"""What a failed step raises, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed
from kit.model.errors import StepError

from .handlers import Boom, alone, one

if TYPE_CHECKING:
    from conftest import Deliver


async def test_an_exception_json_cannot_carry_is_a_step_error_from_the_first(
    deliver: Deliver,
) -> None:
    class Local(Exception):
        pass

    async def bad() -> None:
        raise Local("x")

    async def handler(input: Any, context: Context) -> str:
        try:
            await context.step.run("a", bad)
        except Exception as error:  # noqa: BLE001
            kept = error
        await context.step.run("b", one)
        return f"{type(kept).__name__}: {kept}"

    first = await deliver(handler, after=AfterStep.COMMIT)
    assert isinstance(first.outcome, Completed)
    second = await deliver(handler, first.checkpoints)
    assert second.outcome == Completed(first.outcome.result)
    assert json.loads(first.outcome.result).startswith("StepError: step 'a' failed: ")


async def test_what_a_step_error_stands_for_is_its_cause(deliver: Deliver) -> None:
    class Local(Exception):
        pass

    async def bad() -> None:
        raise Local("x")

    async def handler(input: Any, context: Context) -> None:
        with pytest.raises(StepError) as caught:
            await context.step.run("a", bad)
        assert isinstance(caught.value.__cause__, Local)
        raise caught.value

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert (stage.outcome.failure.type, stage.outcome.failure.step_id) == ("StepError", "a")
    assert "in bad" in stage.outcome.failure.traceback


async def test_the_step_of_a_failure_is_found_behind_what_was_raised_from_it(
    deliver: Deliver,
) -> None:
    async def handler(input: Any, context: Context) -> None:
        try:
            await alone(input, context)
        except Boom as error:
            if input == "circle":
                error.__cause__ = ValueError()
                error.__cause__.__cause__ = error
                raise error.__cause__  # noqa: B904
            raise ExceptionGroup("g", [KeyError(), RuntimeError("x")]) from error

    for data in ("circle", None):
        stage = await deliver(handler, data=data)
        assert isinstance(stage.outcome, Failed)
        assert stage.outcome.failure.step_id == "a"


async def test_a_failure_of_no_step_has_none(deliver: Deliver) -> None:
    async def handler() -> None:
        one, other = ValueError(), KeyError()
        one.__cause__, other.__cause__ = other, one
        raise ExceptionGroup("g", [one, other])

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.step_id is None
