"""Exceptions travel through a checkpoint, and are raised again as they were."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.execution.envelope import (
    error_envelope,
    portable,
    value_of,
)
from kit.model.errors import PayloadError, StepError, WorkflowNotFoundError
from kit.model.signals import DoNotRetry, RetryAfter

from .test_envelope import unstated


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
