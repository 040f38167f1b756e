"""What a handler takes and returns, and what its steps do."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from kit.execution.context import Context
from kit.model.delivery import (
    Completed,
    Failed,
)
from kit.model.errors import PayloadError

if TYPE_CHECKING:
    from conftest import Deliver


class Draft(BaseModel):
    title: str
    due: date | None = None


async def no_input() -> str:
    return "x"


def plain(input: int) -> int:
    return input + 1


async def test_a_handler_takes_what_it_asks_for(deliver: Deliver) -> None:
    assert (await deliver(no_input, data={"ignored": 1})).outcome == Completed('"x"')
    assert (await deliver(plain, data="1")).outcome == Completed("2")


async def typed(input: Draft, context: Context) -> Draft:
    async def copy() -> Draft:
        return input

    draft = await context.step.run("copy", copy)
    assert isinstance(draft, Draft)
    return draft


async def test_input_values_and_result_may_be_models(deliver: Deliver) -> None:
    data = {"title": "x", "due": "2026-01-02"}
    stage = await deliver(typed, data=data)
    assert stage.checkpoints["copy"].text == json.dumps({"value": data}, separators=(",", ":"))
    stage = await deliver(typed, stage.checkpoints, data=data)
    assert isinstance(stage.outcome, Completed)
    assert json.loads(stage.outcome.result) == data


async def test_invalid_input_is_final_and_told_field_by_field(deliver: Deliver) -> None:
    stage = await deliver(typed, data={"due": "soon"})
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None
    assert stage.outcome.failure.code == "VALIDATION_ERROR"
    assert stage.outcome.failure.message.splitlines()[:2] == [
        "the input of 'w' is invalid:",
        "  title: Field required",
    ]


async def test_a_validator_that_crashes_fails_the_attempt_only(deliver: Deliver) -> None:
    async def handler(input: "Nowhere") -> None: ...  # noqa: F821, UP037

    stage = await deliver(handler, data=1)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.type == "TypeError"
    assert stage.outcome.retry_in == timedelta(seconds=5)


async def test_a_result_that_is_no_json_fails_the_attempt(deliver: Deliver) -> None:
    async def handler() -> object:
        return {"x": object()}

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert "the result at '.x' is an object" in stage.outcome.failure.message


async def test_a_value_that_is_no_json_fails_its_step(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        with pytest.raises(PayloadError, match="the value of step 'a' cannot be stored"):
            await context.step.run("a", object)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Completed)
