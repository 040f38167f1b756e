"""What a failed step raises, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed
from kit.model.errors import StepError

from .handlers import Boom, alone, one
from .killed import finish, stage_of

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


class Uncomparable(list[int]):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("there is no comparing")

    __hash__ = None  # type: ignore[assignment]


class Untold(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("there is no telling")


class Hostile(OSError):
    """An error whose own code raises where it is asked for what it holds: *how* says which."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.held = {"eq": Uncomparable([1]), "items": Untold(a=1)}.get(how)

    def __reduce__(self) -> Any:
        if self.how == "reduce":
            raise RuntimeError("there is no copying")
        return (Hostile, (self.how,))

    def __str__(self) -> str:
        if self.how == "str":
            raise RuntimeError("there is no text")
        return f"hostile by {self.how}"

    def __repr__(self) -> str:
        raise RuntimeError("there is no showing")


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("how", ["eq", "items", "reduce", "str", "repr"])
async def test_a_failure_whose_own_code_raises_is_recorded_all_the_same(
    how: str, after: AfterStep
) -> None:
    async def fails() -> None:
        raise Hostile(how)

    async def handler(input: Any, context: Context) -> str:
        try:
            await context.step.run("a", fails)
            came = "went well"
        except (Hostile, StepError) as error:
            came = type(error).__name__
        seen = await context.step.run("seen", lambda: came)
        await context.step.sleep("nap", 60)
        return f"{seen} {came}"

    played = await finish(stage_of(handler, after))
    assert played.failure is None
    assert played.result in ("Hostile Hostile", "StepError StepError")
    assert played.steps == ["a", "seen"]
