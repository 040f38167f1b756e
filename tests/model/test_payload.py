from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from kit.model.errors import PayloadError
from kit.model.payload import check_travels, dump, dump_checked, dump_result, load, to_input
from kit.model.workflow import Workflow

HALVES = "\ud83d\ude00"  # two halves in a row, which JSON cannot tell from one character
texts = st.text(st.characters()).filter(lambda text: HALVES[0] not in text or len(text) == 1)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Compare as `==` does, and types and signs of zero as well."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


def unpaired(value: Any) -> bool:
    text = json.dumps(value)
    return bool(json.loads(text) == value)


@given(plain.filter(unpaired))
def test_what_is_dumped_reads_back_exactly(value: Any) -> None:
    text, back = dump_checked(value, "it")
    assert same(back, value)
    assert same(load(text), value)
    text.encode()  # and survives being written


@pytest.mark.parametrize(
    "value",
    [2**200, -(2**63), 1e308, 5e-324, -0.0, 0.1, "\ud800", {"\udfff": "\ud800"}, "é😀", ""],
)
def test_numbers_and_texts_at_the_edges_are_exact(value: Any) -> None:
    assert same(dump_checked(value, "it")[1], value)


def test_text_is_kept_readable_unless_it_cannot_be_written() -> None:
    assert dump("é") == '"é"'
    assert dump("é\ud800") == '"\\u00e9\\ud800"'


def test_nothing_loads_as_nothing() -> None:
    assert load(None) is None


def test_tuples_read_back_as_lists() -> None:
    assert dump_checked({"a": (1, (2,))}, "it")[1] == {"a": [1, [2]]}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "it is nan, which JSON does not have"),
        ({"a": [1, math.inf]}, r"it at '\.a\[1\]' is inf, which JSON does not have"),
        ({"a": {1: 2}}, r"it at '\.a' has the key 1: JSON has text keys only"),
        ({(1, 2): 2}, r"it has the key \(1, 2\): JSON has text keys only"),
        ([{"x": {3}}], r"it at '\[0\]\.x' is a set, which is not JSON"),
        ((b"x",), r"it at '\[0\]' is a bytes, which is not JSON"),
        ([HALVES], r"it at '\[0\]' holds two halves of a surrogate pair"),
        ({HALVES: 1}, "it holds two halves of a surrogate pair"),
        (circular(), "it contains itself, or is nested too deeply"),
        (nested(200_000), "it contains itself, or is nested too deeply"),
        ([10**5000], "it is not JSON: Exceeds the limit"),
    ],
)
def test_what_json_would_change_is_refused_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(PayloadError, match=f"^{said}"):
        dump(value, "it")


def test_data_nested_too_deeply_is_refused_rather_than_a_crash() -> None:
    refused = []
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit() + 50):
        for value in (nested(depth), (nested(depth), 1)):
            try:
                check_travels(value)
            except PayloadError as error:
                refused.append(error.message)
    assert set(refused) == {"the input contains itself, or is nested too deeply for JSON"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"n": 2**53}, r"the input at '\.n' is 9007199254740992: JavaScript"),
        ([-(2**53)], r"the input at '\[0\]' is -9007199254740992"),
        ("\ud800", "the input holds half a surrogate pair"),
        ({"\udc00": 1}, "the input holds half a surrogate pair"),
        ({"x": math.nan}, r"the input at '\.x' is nan"),
    ],
)
def test_what_javascript_would_change_does_not_travel(value: Any, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        check_travels(value)


def test_what_javascript_keeps_travels() -> None:
    assert check_travels({"n": 2**53 - 1, "é": ["😀", None, True, 1.5, (1,)]})


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
        ({"x": object()}, r"the result at '\.x' is a object, which is not JSON"),
        (object(), "the result is a object, which is not JSON"),
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
    from kit.model.payload import validate_input

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
    from kit.model.payload import validate_input

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
    assert to_input(workflow(annotation), value) == expected


def test_invalid_input_is_refused_when_sent() -> None:
    with pytest.raises(PayloadError, match="pages: Field required"):
        to_input(workflow(Fussy), {"title": "xx"})


def test_input_that_is_no_json_is_left_to_the_check_that_names_the_place() -> None:
    value = to_input(workflow(Any), {"x": math.nan})
    with pytest.raises(PayloadError, match=r"at '\.x' is nan"):
        check_travels(value)
    assert to_input(workflow(Any), {"x": len}) == {"x": len}
