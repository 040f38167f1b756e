"""Who is to blame for the end of an attempt; without any task."""

from __future__ import annotations

import pytest

from kit.execution.failures import Failures, parts_of
from kit.model.errors import ArgumentError


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """Return *error* as it is when it was raised, in the way that *cause* says."""
    try:
        if cause is None:
            raise error
        raise error from cause
    except BaseException as caught:  # noqa: BLE001
        return caught


def within(inner: BaseException, outer: BaseException) -> BaseException:
    """Return *outer* as raised in an `except` clause for *inner*."""
    try:
        try:
            raise inner
        except BaseException:  # noqa: BLE001
            raise outer  # noqa: B904
    except BaseException as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize(
    "end",
    [
        raised,
        lambda error: raised(RuntimeError(), error),
        lambda error: within(error, RuntimeError()),
        lambda error: within(error, raised(RuntimeError(), KeyError())),
        lambda error: ExceptionGroup("g", [KeyError(), ExceptionGroup("h", [error])]),
        lambda error: raised(RuntimeError(), ExceptionGroup("g", [error])),
    ],
)
def test_a_failure_found_in_what_ended_the_attempt_is_to_blame(end):
    failures, error, other = Failures(), ValueError("x"), ValueError("x")
    failures.note(error, "charge")
    failures.note(other, "dealt with")

    assert failures.to_blame(end(error)) == ("charge",)
    assert failures.step_of(end(error)) == "charge"


def test_another_exception_blames_nobody():
    failures = Failures()
    failures.note(ValueError("x"), "charge")

    assert failures.to_blame(ValueError("x")) == ()
    assert failures.step_of(ValueError("x")) is None


def test_of_several_each_is_to_blame_once():
    failures, one, other = Failures(), ValueError(), KeyError()
    failures.note(one, "one")
    failures.note(other, "other")

    group = ExceptionGroup("g", [one, within(other, raised(RuntimeError(), one)), one])

    assert failures.to_blame(group) == ("one", "other")


def test_a_circle_of_causes_ends():
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one

    assert list(parts_of(one)) == [one, other]


def test_what_cannot_succeed_is_seen_behind_what_wraps_it():
    failures, error = Failures(), ValueError()
    failures.give_up(error)

    assert failures.is_hopeless(raised(RuntimeError(), error))
    assert not failures.is_hopeless(RuntimeError())


def test_a_step_is_tried_again_whatever_its_failure_came_from():
    failures, of_step = Failures(), raised(RuntimeError(), ArgumentError("no name"))
    failures.note(of_step, "step")

    assert not failures.is_hopeless(of_step)
    assert not failures.is_hopeless(ExceptionGroup("g", [of_step]))
    assert not failures.is_hopeless(raised(RuntimeError(), of_step))


def test_what_fails_after_something_hopeless_was_dealt_with_is_tried_again():
    failures, refused, of_fallback = Failures(), ValueError(), KeyError()
    failures.give_up(refused)
    failures.note(of_fallback, "fallback")

    assert not failures.is_hopeless(within(refused, of_fallback))
    assert failures.is_hopeless(within(refused, RuntimeError()))


def test_what_the_handler_asked_for_as_it_cannot_be_is_hopeless_unless_it_dealt_with_that():
    failures, refused = Failures(), ArgumentError("no name")

    assert failures.is_hopeless(refused)
    assert failures.is_hopeless(raised(RuntimeError(), refused))
    assert failures.is_hopeless(ExceptionGroup("g", [refused]))
    assert not failures.is_hopeless(within(refused, RuntimeError()))
