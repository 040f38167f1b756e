from __future__ import annotations

import functools
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from kit.execution.envelope import (
    as_inner,
    error_envelope,
    is_inner,
    outer_of,
    portable,
    value_envelope,
    value_of,
)
from kit.model.errors import PayloadError, ReplayError, StepError, WorkflowNotFoundError
from kit.model.signals import DoNotRetry, RetryAfter

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


class Custom(Exception):
    def __init__(self, code: int, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code
        self.hint = hint


class Holding(Exception):
    def __init__(self, said: str, held: object) -> None:
        super().__init__(said)
        self.held = held
        self.kept = [1]


class Picky(Exception):
    def __new__(cls, *args: object) -> Self:
        if len(args) != 2:
            raise TypeError
        return super().__new__(cls)

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a)
        self.args = (a, b, "more")


class Chooser(Exception):
    def __new__(cls, *args: object) -> Self:
        return super().__new__(cls)

    def __init__(self, a: int) -> None:
        super().__init__(a)


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Paused(RetryAfter):
    pass


class Final(DoNotRetry):
    pass


def replayed(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it may be
        value_of(error_envelope(error), unstated, "s")
    return caught.value


def jsondecode() -> Exception:
    try:
        json.loads("{")
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("k", 2),
        Custom(404, "gone"),
        FileNotFoundError(2, "No such file", "x.txt"),
        jsondecode(),
        PayloadError("x", issues=[{"a": 1}]),
        StepError("x", step_id="inner"),
        DoNotRetry("x"),
        Final("x", 1),
        Chooser(3),
    ],
)
def test_an_exception_json_can_carry_is_raised_again_as_it_was(error: Exception) -> None:
    assert portable(error, "s") is error
    again = replayed(error)
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert vars(again).keys() == vars(error).keys()


@given(
    st.sampled_from([ValueError, KeyError, RuntimeError, Final]),
    st.lists(st.integers() | st.text() | st.none() | st.booleans(), max_size=3),
    st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), st.integers() | st.text()),
)
def test_revived_exceptions_are_equal(
    kind: type[Exception], args: list[Any], attributes: dict[str, Any]
) -> None:
    error = kind(*args)
    vars(error).update(attributes)
    again = replayed(portable(error, "s"))
    assert (type(again), again.args, vars(again)) == (kind, tuple(args), attributes)


@pytest.mark.parametrize("kind", [RetryAfter, Paused])
def test_retry_after_keeps_its_delay(kind: type[RetryAfter]) -> None:
    error = kind("1.5 s", "busy", force=True)
    assert portable(error, "s") is error
    again = replayed(error)
    assert isinstance(again, kind)
    assert (again.delay, again.force, again.args) == (timedelta(seconds=1.5), True, ("busy",))


def test_what_an_exception_held_besides_json_is_gone_from_the_first() -> None:
    error = Holding("x", object())
    first = portable(error, "s")
    assert first is not error
    assert type(first) is type(replayed(error)) is Holding
    assert vars(first) == vars(replayed(error)) == {"kept": [1]}


def test_a_tuple_an_exception_held_is_a_list_from_the_first() -> None:
    first = portable(WorkflowNotFoundError("x", known=("a", "b")), "s")
    assert isinstance(first, WorkflowNotFoundError)
    assert first.known == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(object), "step 's' failed: ValueError: <class 'object'>"),
        (Picky(1, 2), r"step 's' failed: Picky: \(1, 2, 'more'\)"),
        (Mute(), "step 's' failed: Mute: <Mute without a text>"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "step 's' failed: UnicodeDecodeError"),
        (ExceptionGroup("g", [ValueError()]), "step 's' failed: ExceptionGroup: g"),
    ],
)
def test_an_exception_json_cannot_carry_becomes_a_step_error(error: Exception, said: str) -> None:
    for stand_in in (portable(error, "s"), replayed(error)):
        assert isinstance(stand_in, StepError)
        assert stand_in.step_id == "s"
        with pytest.raises(StepError, match=said):
            raise stand_in


def test_a_local_class_becomes_a_step_error() -> None:
    class Local(Exception):
        pass

    assert isinstance(portable(Local("x"), "s"), StepError)


def test_a_class_of_a_module_that_is_not_loaded_becomes_a_step_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = error_envelope(Custom(1, "x"))
    monkeypatch.delitem(sys.modules, Custom.__module__)
    with pytest.raises(StepError, match="Custom: 1: x"):
        value_of(text, unstated, "s")


def test_what_stands_for_an_exception_decides_the_same_about_retries() -> None:
    final = portable(DoNotRetry(object), "s")
    assert type(final) is type(replayed(DoNotRetry(object))) is DoNotRetry
    assert isinstance(final, DoNotRetry)

    class Local(RetryAfter):
        pass

    later_ = portable(Local("1 hour", force=True), "s")
    assert isinstance(later_, RetryAfter)
    assert (type(later_), later_.delay, later_.force) == (RetryAfter, timedelta(hours=1), True)
