from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from kit.model.annotations import dump_result, encode_data, encode_input, validate_input
from kit.model.errors import PayloadError
from kit.model.workflow import Workflow


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Colour(Enum):
    RED = "red"


class Draft(BaseModel):
    title: str = "Untitled"
    due: date | None = None


@dataclass
class Point:
    x: int
    y: Decimal


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({"a": [1, "é"]}, {"a": [1, "é"]}),
        (Draft(due=date(2026, 1, 2)), {"title": "Untitled", "due": "2026-01-02"}),
        ([Point(1, Decimal("0.10"))], [{"x": 1, "y": "0.10"}]),
        ({1: Colour.RED}, {"1": "red"}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        ({"u": UUID(int=1)}, {"u": str(UUID(int=1))}),
        ((1, 2), [1, 2]),
    ],
)
def test_a_result_becomes_plain_data(value: Any, expected: Any) -> None:
    assert json.loads(dump_result(value)) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "the result is nan"),
        (Point(1, Decimal("NaN")), None),
        ({"x": object()}, r"the result at '\.x' is an object, which is not JSON"),
        (object(), "the result is an object, which is not JSON"),
        ([{1, 2}, math.inf], r"the result at '\[1\]' is inf"),
        (circular(), "the result contains itself"),
    ],
)
def test_a_result_that_is_nothing_json_can_hold_is_refused(value: Any, said: str | None) -> None:
    if said is None:
        assert dump_result(value) == '{"x":1,"y":"NaN"}'
        return
    with pytest.raises(PayloadError, match=said):
        dump_result(value)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    on: date
    tags: tuple[str, ...] = ()


class Fussy(BaseModel):
    title: Annotated[str, Field(min_length=2)]
    pages: int
    parts: list[Draft] = []


def workflow(annotation: Any, default: Any = ...) -> Workflow[..., Any]:
    def handler(input: Any) -> None: ...

    handler.__annotations__ = {"input": annotation}
    if default is not ...:
        handler.__defaults__ = (default,)
    return Workflow(handler, name="publish")


def validate(annotation: Any, data: Any, default: Any = ...) -> Any:
    return validate_input(workflow(annotation, default), data)


def test_input_is_what_its_annotation_says() -> None:
    assert validate(Draft, {"title": "x"}) == Draft(title="x")
    assert validate(Draft | None, None) is None
    assert validate(list[int], ["1", 2]) == [1, 2]
    assert validate(Any, {"x": 1}) == {"x": 1}
    assert validate(object, "x") == "x"
    assert validate(Point, {"x": 1, "y": "2.50"}) == Point(1, Decimal("2.50"))


def test_a_strict_model_takes_what_json_can_say() -> None:
    given_ = {"on": "2026-01-02", "tags": ["a"]}
    assert validate(Strict, given_) == Strict(on=date(2026, 1, 2), tags=("a",))
    with pytest.raises(PayloadError, match="on: "):
        validate(Strict, {"on": 5})


def test_no_input_is_the_default_if_there_is_one() -> None:
    assert validate(int, None, default=7) == 7
    assert validate(int, 3, default=7) == 3


def test_a_handler_without_input_is_given_none() -> None:
    assert validate_input(Workflow(lambda: None), {"ignored": 1}) is None


def test_invalid_input_is_told_field_by_field() -> None:
    with pytest.raises(PayloadError) as caught:
        validate(Fussy, {"title": "x", "parts": [{"title": 1}]})
    assert caught.value.message.splitlines() == [
        "the input of 'publish' is invalid:",
        "  title: String should have at least 2 characters",
        "  pages: Field required",
        "  parts.0.title: Input should be a valid string",
    ]
    assert caught.value.issues[1] == {"type": "missing", "loc": ("pages",), "msg": "Field required"}
    with pytest.raises(PayloadError, match=r"\(all of it\): Input should be a valid integer"):
        validate(int, "x")


def test_invalid_input_is_not_repeated_in_the_error() -> None:
    with pytest.raises(PayloadError) as caught:
        validate(Fussy, {"title": "secret", "pages": "hush"})
    assert "hush" not in json.dumps(caught.value.to_json())


def test_an_annotation_that_names_nothing_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cannot be resolved"):
        validate("Nowhere", 1)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Draft, Draft(due=date(2026, 1, 2)), {"title": "Untitled", "due": "2026-01-02"}),
        (Draft, {"title": "x"}, {"title": "x"}),
        (list[Draft], [Draft()], [{"title": "Untitled", "due": None}]),
        (Point, Point(1, Decimal("0.1")), {"x": 1, "y": "0.1"}),
        (dict[str, date], {"a": date(2026, 1, 2)}, {"a": "2026-01-02"}),
        (Any, None, None),
    ],
)
def test_what_is_sent_as_input_is_plain_data(annotation: Any, value: Any, expected: Any) -> None:
    data, text = encode_input(workflow(annotation), value)
    assert data == expected
    assert json.loads(text) == expected


def test_invalid_input_is_refused_when_sent() -> None:
    with pytest.raises(PayloadError, match="pages: Field required"):
        encode_input(workflow(Fussy), {"title": "xx"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"x": math.nan}, r"the input of 'publish' at '\.x' is nan"),
        ({"x": len}, r"the input of 'publish' at '\.x' is a builtin_function_or_method"),
        ({1, 2}, "the input of 'publish' is a set, which is not JSON"),
        ([frozenset()], r"at '\[0\]' is a frozenset, which is not JSON"),
        (b"x", "the input of 'publish' is a bytes, which is not JSON"),
        ({"x": bytearray(b"x")}, r"at '\.x' is a bytearray, which is not JSON"),
        (circular(), "the input of 'publish' contains itself"),
    ],
)
def test_input_that_would_arrive_as_something_else_is_refused_with_its_place(
    value: Any, said: str
) -> None:
    with pytest.raises(PayloadError, match=said):
        encode_input(workflow(Any), value)
    with pytest.raises(PayloadError, match=said.replace("the input of 'publish'", "it")):
        encode_data(value, "it")


def test_a_model_within_plain_data_becomes_plain_data() -> None:
    data, text = encode_data({"drafts": (Draft(), Colour.RED)}, "it")
    assert data == {"drafts": [{"title": "Untitled", "due": None}, "red"]}
    assert json.loads(text) == data


class Login(BaseModel):
    user: str
    password: SecretStr = SecretStr("")


class Loaded(BaseModel):
    user: str
    _cache: int = PrivateAttr(default=0)


class Amount(int):
    pass


def test_data_and_results_that_would_lose_something_are_refused() -> None:
    amount = Amount(5)
    amount.currency = "EUR"  # type: ignore[attr-defined]
    for value, said in (
        (Login(user="a", password=SecretStr("hidden")), "'.password' is a SecretStr which would"),
        ({"sum": amount}, "'.sum' is an Amount with the attribute 'currency'"),
    ):
        with pytest.raises(PayloadError, match=said) as refused:
            encode_data(value, "the input")
        assert "hidden" not in str(refused.value)
        with pytest.raises(PayloadError, match=said):
            dump_result(value)
    loaded = Loaded(user="a")
    loaded._cache = 5
    assert dump_result(loaded) == '{"user":"a"}'  # what is private is nobody else's
    assert encode_data(loaded, "the input").text == '{"user":"a"}'
    assert encode_data({"sum": Amount(5)}, "the input").text == '{"sum":5}'
