from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.duration import Duration
from kit.model.errors import ReplayError, StepUsageError
from kit.model.retry import MAX_FIRST_DELAY, RetryPolicy, default_wait
from kit.model.signals import DoNotRetry, RetryAfter

WEEK = timedelta(days=7)


def seconds(policy: RetryPolicy) -> list[float]:
    return [wait.total_seconds() for wait in policy.schedule()]


def test_by_default_a_run_is_tried_five_times_as_on_netlify() -> None:
    policy = RetryPolicy()
    assert seconds(policy) == [5, 5, 20, 40]
    assert policy.decide(3, ValueError()) == timedelta(seconds=40)
    assert policy.decide(4, ValueError()) is None


@given(st.integers(0, 10_000))
def test_the_default_wait_is_netlifys_arithmetic(attempt: int) -> None:
    expected = 5_000 if attempt <= 1 else (attempt - 1) * 20_000
    assert default_wait(attempt) == timedelta(milliseconds=expected)


def test_the_last_delay_of_a_list_repeats() -> None:
    assert seconds(RetryPolicy(5, ["1 s", 2, timedelta(minutes=1)])) == [1, 2, 60, 60, 60]


def test_an_empty_list_is_the_default() -> None:
    assert seconds(RetryPolicy(2, [])) == [5, 5]


def test_a_function_is_asked_for_the_coming_attempt() -> None:
    assert seconds(RetryPolicy(3, lambda attempt: attempt * 10)) == [10, 20, 30]


@pytest.mark.parametrize("answer", [0, -5, "nonsense", None, float("nan")])
def test_where_a_function_says_nothing_useful_the_default_counts(answer: Duration) -> None:
    assert seconds(RetryPolicy(3, lambda _: answer)) == [5, 5, 20]


def test_where_a_function_fails_the_default_counts() -> None:
    assert seconds(RetryPolicy(2, lambda attempt: 1 // (attempt - attempt))) == [5, 5]


@given(st.integers(0, 20), st.lists(st.integers(1, 10**7), min_size=1, max_size=5))
def test_a_backoff_is_a_delay_of_the_list_but_never_past_a_week(
    attempt: int, delays: list[int]
) -> None:
    wait = RetryPolicy(25, delays).wait_after(attempt)
    stated = delays[attempt] if attempt < len(delays) else delays[-1]
    assert wait == min(timedelta(seconds=stated), WEEK)


@pytest.mark.parametrize("retries", [-1, 1.5, True, "3", None])
def test_max_retries_must_be_a_whole_number_from_0_up(retries: int) -> None:
    with pytest.raises(ValueError, match="max_retries must be a whole number"):
        RetryPolicy(retries)


@pytest.mark.parametrize("backoff", ["5 s", 5, {"a": 1}])
def test_a_backoff_that_is_no_list_and_no_function_is_refused(backoff: object) -> None:
    with pytest.raises(ValueError, match="backoff must be a list of durations or a function"):
        RetryPolicy(1, backoff)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [0, -1, timedelta(), "5", "0.0001 ms"])
def test_a_delay_netlify_would_not_honour_is_refused(delay: Duration) -> None:
    with pytest.raises(ValueError, match=r"not honoured|no unit"):
        RetryPolicy(1, [delay])


@pytest.mark.parametrize(
    "error", [DoNotRetry("x"), ReplayError("x"), StepUsageError("x", step_id="a")]
)
def test_some_errors_are_final(error: Exception) -> None:
    assert RetryPolicy().decide(0, error) is None


def test_no_retries_means_none_even_if_asked_for() -> None:
    assert RetryPolicy(0).decide(0, RetryAfter(1)) is None


@pytest.mark.parametrize(
    ("attempt", "error", "expected"),
    [
        (0, RetryAfter("10 minutes"), timedelta(minutes=10)),
        (2, RetryAfter("1 s"), timedelta(seconds=20)),
        (2, RetryAfter("1 s", force=True), timedelta(seconds=1)),
        (0, RetryAfter(0), timedelta(seconds=5)),
        (0, RetryAfter("0 seconds"), timedelta(seconds=5)),
        (0, RetryAfter("0", force=True), timedelta(seconds=5)),
        (0, RetryAfter(-1, force=True), timedelta(seconds=5)),
        (0, RetryAfter("30 days"), timedelta(days=30)),
        (1, RetryAfter("30 days"), WEEK),
        (0, RetryAfter("1 year"), MAX_FIRST_DELAY),
        (0, RetryAfter("2 years", force=True), MAX_FIRST_DELAY),
    ],
)
def test_retry_after_replaces_the_backoff_if_longer_or_forced(
    attempt: int, error: RetryAfter, expected: timedelta
) -> None:
    assert RetryPolicy().decide(attempt, error) == expected


@given(st.integers(0, 9), st.integers(-10, 10**9), st.booleans())
def test_retry_after_follows_netlifys_arithmetic(attempt: int, asked: int, force: bool) -> None:
    cap = 31_556_952_000 if attempt == 0 else 604_800_000
    expected = 5_000 if attempt <= 1 else (attempt - 1) * 20_000
    if asked > 0 and (force or asked * 1000 > expected):
        expected = asked * 1000
    wait = RetryPolicy(10).decide(attempt, RetryAfter(asked, force=force))
    assert wait == timedelta(milliseconds=min(expected, cap))


def test_errors_in_a_group_are_heard() -> None:
    policy = RetryPolicy()
    asked = ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [RetryAfter("1 hour")])])
    final = ExceptionGroup("g", [RetryAfter("1 hour"), DoNotRetry()])
    assert policy.decide(0, asked) == timedelta(hours=1)
    assert policy.decide(0, final) is None


def raises(attempt: int) -> int:
    raise ValueError("no table")


def ends_all(attempt: int) -> int:
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("backoff", "said"),
    [
        (raises, "its backoff, raises(3), raised ValueError: no table"),
        (ends_all, "its backoff, ends_all(3), raised SystemExit: 1"),
        (lambda attempt: "soon", "its backoff, <lambda>(3), returned 'soon': "),
        (lambda attempt: None, "its backoff, <lambda>(3), returned None: None is no duration"),
        (lambda attempt: 0, "its backoff, <lambda>(3), returned 0, which is no wait"),
    ],
)
def test_a_backoff_that_says_no_wait_is_told_of_and_the_default_counts(
    backoff: Any, said: str
) -> None:
    told: list[str] = []

    wait = RetryPolicy(4, backoff).decide(2, ValueError(), told.append)

    assert wait == timedelta(seconds=20)
    assert len(told) == 1
    assert told[0].startswith(said)


def test_a_backoff_is_not_kept_from_ctrl_c() -> None:
    def interrupted(attempt: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RetryPolicy(4, interrupted).decide(0, ValueError())


def test_a_malformed_delay_of_retry_after_fails_where_it_is_raised() -> None:
    with pytest.raises(ValueError, match="no unit"):
        RetryAfter("10")
