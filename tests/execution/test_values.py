"""What a step may return, what is stored of it, and what is refused rather than lost."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict  # pydantic wants it before 3.12

from kit.execution.context import Context
from kit.execution.values import decode_value, encode_value
from kit.model.delivery import AfterStep, Completed, Failed, Suspended
from kit.model.errors import PayloadError, ReplayError

if TYPE_CHECKING:
    from conftest import Deliver


class Aliased(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    first_name: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.first_name.upper()


class Options(TypedDict, total=False):
    size: int
    when: date


class Animal(BaseModel):
    name: str


class Dog(Animal):
    tricks: list[str] = []


@dataclass
class Place:
    city: str


@dataclass
class Flat(Place):
    floor: int = 0


class Account(BaseModel):
    user: str
    password: SecretStr


class Noted(BaseModel):
    text: str
    private: str = Field(default="", exclude=True)


class Colour(enum.Enum):
    RED = "red"


def unstated(): ...
def aliased() -> Aliased: ...
def numbers() -> dict[int, int]: ...
def options() -> Options: ...
def animal() -> Animal: ...
def animals() -> list[Animal]: ...
def place() -> Place: ...
def account() -> Account: ...
def noted() -> Noted: ...
def whole_numbers() -> list[int]: ...


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"at": NOW}, {"at": "2026-01-02T03:04:05Z"}),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(seconds=90), "PT1M30S"),
        (Animal(name="Rex"), {"name": "Rex"}),
        (Dog(name="Rex", tricks=["sit"]), {"name": "Rex", "tricks": ["sit"]}),
        ([Flat("Rome", 3)], [{"city": "Rome", "floor": 3}]),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        ({7}, [7]),
        (Path("a/b"), "a/b"),
        (b"abc", "abc"),
        (Colour.RED, "red"),
        ({1: "one"}, {"1": "one"}),
        ((1, (2,)), [1, [2]]),
        (Noted(text="x"), {"text": "x"}),
    ],
)
def test_a_value_without_an_annotation_has_the_form_pydantic_gives_it(
    value: Any, stored: Any
) -> None:
    text, first = encode_value(value, unstated, "it")

    assert first == json.loads(text) == decode_value(json.loads(text), unstated, "it") == stored


@pytest.mark.parametrize(
    ("value", "function"),
    [
        (Aliased(firstName="Ada"), aliased),
        ({1: 2}, numbers),
        ({"size": 1, "when": date(2026, 1, 2)}, options),
        (Animal(name="Rex"), animal),
        ([Animal(name="Rex")], animals),
        (Place("Rome"), place),
        (Noted(text="x"), noted),
    ],
)
def test_a_value_with_an_annotation_comes_back_as_it_went(value: Any, function: Any) -> None:
    text, first = encode_value(value, function, "it")

    assert first == value
    assert decode_value(json.loads(text), function, "it") == value


@pytest.mark.parametrize(
    ("value", "function", "said"),
    [
        (object(), unstated, "it cannot be stored: Unable to serialize unknown type"),
        (Account(user="a", password=SecretStr("x")), unstated, "it at '.password' is a SecretStr"),
        (Account(user="a", password=SecretStr("x")), account, "get_secret_value()"),
        (Noted(text="x", private="y"), noted, "field 'private' is excluded from JSON"),
        ({"a": [Noted(text="x", private="y")]}, unstated, "it at '.a[0]' is a Noted"),
        (Dog(name="Rex"), animal, "it is a Dog, and its annotation says Animal, which has no"),
        ([Dog(name="Rex")], animals, "annotate the step's function with -> Dog"),
        (Flat("Rome"), place, "it is a Flat, and its annotation says Place"),
        ({1: "a", "1": "b"}, unstated, "keys that are one in JSON"),
        ({"size": 1, "other": 2}, options, "it has the key 'other'"),
        (b"\xff", unstated, "it cannot be stored: 'utf-8' codec"),
        ({"x": float("nan")}, unstated, "is nan"),
    ],
)
def test_what_would_be_lost_is_refused_with_what_to_do(
    value: Any, function: Any, said: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        encode_value(value, function, "it")

    assert said in refused.value.message


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(PayloadError, match="contains itself"):
        encode_value(value, unstated, "it")


def test_a_stored_value_that_fits_no_more_says_what_to_change() -> None:
    with pytest.raises(ReplayError, match="annotation was changed while this run was under way"):
        decode_value({"no": 1}, animal, "the stored value of step 's'")


async def test_a_payment_is_not_repeated_because_of_its_receipts_type(deliver: Deliver) -> None:
    charged: list[int] = []

    async def handler(input: Any, context: Context) -> Any:
        def charge() -> Any:
            charged.append(1)
            return {"at": NOW}

        first = await context.step.run("charge", charge)
        await context.step.sleep("nap", 1)
        return [first, type(first["at"]).__name__]

    for after in AfterStep:
        charged.clear()
        stage = await deliver(handler, after=after)
        while isinstance(stage.outcome, Suspended):
            stage = await deliver(handler, stage.checkpoints, after=after)
        assert isinstance(stage.outcome, Completed)
        assert stage.outcome.result == '[{"at":"2026-01-02T03:04:05Z"},"str"]'
        assert charged == [1]


@pytest.mark.parametrize("after", list(AfterStep))
@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_a_value_nobody_can_store_is_a_dead_letter_at_once(
    deliver: Deliver, after: AfterStep, is_wrapped: bool
) -> None:
    async def handler(input: Any, context: Context) -> None:
        try:
            await context.step.run("odd", object)
        except PayloadError as error:
            if is_wrapped:
                raise RuntimeError("wrapped") from error
            raise

    stage = await deliver(handler, after=after)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is None
    assert stage.outcome.failure.step_id == "odd"


async def test_data_that_cannot_be_sent_and_a_result_that_cannot_be_kept_are_dead_letters(
    deliver: Deliver,
) -> None:
    async def sends(input: Any, context: Context) -> None:
        await context.send_event("e", {"x": object()})

    async def returns(input: Any, context: Context) -> Any:
        return object()

    async def keeps_a_secret(input: Any, context: Context) -> Any:
        return {"key": SecretStr("x")}

    for handler in (sends, returns, keeps_a_secret):
        stage = await deliver(handler)
        assert isinstance(stage.outcome, Failed)
        assert stage.outcome.failure.type == "PayloadError"
        assert stage.outcome.retry_in is None


async def test_what_a_step_itself_finds_invalid_is_tried_again(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> None:
        def fetch() -> None:
            raise PayloadError("the other side has sent nonsense")

        await context.step.run("fetch", fetch)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.retry_in is not None


def test_plain_values_need_no_pydantic() -> None:
    code = """
import asyncio, sys
from kit.execution.execute import Suspending, execute
from kit.model.delivery import Delivery
from kit.model.event import Event
from kit.model.workflow import Workflow

async def handler(input, context):
    return await context.step.run("a", lambda: {"a": [1, "x", None, 1.5, True]})

event = Event("w", None, "11111111-1111-4111-8111-111111111111")
first = asyncio.run(execute(Workflow(handler), Delivery(event), Suspending(), now=lambda: 1))
known = {each.step_id: each for each in first.checkpoints}
delivery = Delivery(event, 0, known)
print(asyncio.run(execute(Workflow(handler), delivery, Suspending(), now=lambda: 1)).result)
print("pydantic" in sys.modules, "pydantic_core" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split("\n")[:2] == ['{"a":[1,"x",null,1.5,true]}', "False False"]
