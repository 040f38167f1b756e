"""An exception as data, to be stored and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kit.model.errors import PayloadError, StepError
from kit.model.failure import Failure, failure_of


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError


def fail() -> None:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("second") from error


def test_a_failure_is_an_exception_as_data() -> None:
    failure = failure_of(caught(fail), "s")
    assert (failure.type, failure.message, failure.step_id) == ("ValueError", "second", "s")
    assert "KeyError: 'first'" in failure.traceback
    assert "in fail" in failure.traceback
    assert failure_of(PayloadError("x")).code == "VALIDATION_ERROR"
    assert failure_of(StepError("x", step_id="inner")).step_id == "inner"
    assert failure_of(Mute()).message == "<Mute without a text>"


def test_the_kits_own_frames_are_left_out_of_a_traceback() -> None:
    from kit.execution.calling import call

    def inside() -> None:
        asyncio.run(call(fail, (), {}))

    traceback = failure_of(caught(inside)).traceback
    assert "calling.py" not in traceback
    assert "in fail" in traceback


def test_a_group_and_a_circle_of_causes_can_be_told() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert isinstance(failure_of(ExceptionGroup("g", [one, other])), Failure)
