from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from kit.execution.envelope import (
    as_inner,
    is_inner,
    outer_of,
    value_envelope,
    value_of,
)
from kit.model.errors import PayloadError, ReplayError

if TYPE_CHECKING:
    from decimal import Decimal


class Draft(BaseModel):
    title: str
    due: date | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    on: date


@dataclass
class Point:
    x: int


def model() -> Draft: ...


def models() -> list[Draft]: ...


def maybe() -> Draft | None: ...


def strict() -> Strict: ...


def point() -> Point: ...


def dates() -> dict[str, date]: ...


def whole() -> int: ...


def native() -> dict[str, list[int]]: ...


def unstated(): ...


def later() -> Awaitable[dict[str, int]]: ...


def unresolved() -> Decimal: ...


def number() -> int | None: ...


class Shop:
    def price(self) -> Point: ...


def both(value: Any, function: Callable[..., Any]) -> Any:
    """Return what the handler gets, after checking that a replay gives the same."""
    text, first = value_envelope(value, function, "s")
    again = value_of(text, function, "s")
    assert again == first
    assert type(again) is type(first)
    return first


@pytest.mark.parametrize(
    ("value", "function", "expected"),
    [
        (None, model, None),
        ({"a": (1, 2)}, unstated, {"a": [1, 2]}),
        ({"a": [1]}, native, {"a": [1]}),
        ("x", lambda: "x", "x"),
        (3, len, 3),
        (3, whole, 3),
        (5, number, 5),
        (Draft(title="x"), model, Draft(title="x")),
        ([Draft(title="x", due=date(2026, 1, 2))], models, [Draft(title="x", due="2026-01-02")]),
        (Draft(title="x"), maybe, Draft(title="x")),
        (Strict(on=date(2026, 1, 2)), strict, Strict(on=date(2026, 1, 2))),
        (Point(1), point, Point(1)),
        (Point(1), functools.partial(functools.partial(point)), Point(1)),
        (Point(1), Shop().price, Point(1)),
        ({"a": date(2026, 1, 2)}, dates, {"a": date(2026, 1, 2)}),
        ({"a": 1}, later, {"a": 1}),
        (1, unresolved, 1),
        (Draft(title="x"), unstated, {"title": "x", "due": None}),
        ([Draft(title="x")], unstated, [{"title": "x", "due": None}]),
        (Point(1), unresolved, {"x": 1}),
    ],
)
def test_a_handler_gets_the_same_value_the_first_time_and_at_a_replay(
    value: Any, function: Callable[..., Any], expected: Any
) -> None:
    assert both(value, function) == expected


def test_a_function_that_cannot_be_hashed_may_still_be_annotated() -> None:
    class Fetch:
        __hash__ = None  # type: ignore[assignment]
        __annotations__ = {"return": Point}

        def __call__(self) -> Point:
            return Point(1)

    assert both(Point(1), Fetch()) == Point(1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ).filter(lambda value: "Infinity" not in json.dumps(value)),
    st.none() | st.text() | st.just(',"outer":"no"},"inner":true}'),
)
def test_a_value_survives_its_envelope_exactly(value: Any, outer: str | None) -> None:
    text, first = value_envelope(value, unstated, "s")
    text = text if outer is None else as_inner(text, outer)
    assert is_inner(text) is (outer is not None)
    assert outer_of(text) == outer
    assert repr(value_of(text, unstated, "s")) == repr(first) == repr(value)


@pytest.mark.parametrize(
    ("value", "function", "error", "said"),
    [
        (object(), later, PayloadError, "cannot be stored: Unable to serialize unknown type"),
        (object(), point, PayloadError, "cannot be stored: Unable to serialize unknown type"),
        ({"x": "y"}, point, PayloadError, "x: Input should be a valid integer"),
        (float("nan"), unstated, PayloadError, "is nan"),
    ],
)
def test_a_value_a_replay_could_not_give_is_refused(
    value: Any, function: Callable[..., Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        value_envelope(value, function, "s")


def test_a_broken_model_tells_its_own_error() -> None:
    class Odd:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: object) -> Any:
            raise ZeroDivisionError

    def odd() -> None: ...

    odd.__annotations__ = {"return": Odd}
    with pytest.raises(ZeroDivisionError):
        value_envelope(1, odd, "s")


def test_a_stored_value_that_no_longer_fits_says_so() -> None:
    with pytest.raises(ReplayError, match="the stored value of step 's' is invalid"):
        value_of('{"value":{"no":1}}', model, "s")


def test_an_envelope_without_a_value_is_none() -> None:
    assert value_of("{}", model, "s") is None
    assert not is_inner(None)
