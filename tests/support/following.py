"""
Lets coverage follow the tests, and not what runs them.

A thread that is followed takes about twice its time in every line, also where nothing is measured:
in pytest's between the tests, and in Hypothesis's between the examples.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

FOLLOWED_EXAMPLES = 20
"""How many examples of one property are followed; those after them take the same branches."""

REPEATING = {
    "test_how_often_a_step_is_asked_for_does_not_grow_with_their_number",
    "test_a_thousand_steps_side_by_side_and_replayed",
    "test_branches_are_replayed_in_their_order_however_often_that_is",
    "test_what_a_step_behind_a_semaphore_takes_does_not_grow_with_those_that_wait",
    "test_data_nested_too_deeply_is_refused_rather_than_a_crash",
    "test_a_megabyte_of_data_arrives",
    "test_so_is_a_branch_that_does",
    "test_thousands_of_runs_come_a_page_at_a_time",
}
"""Tests that are not followed: they do a thousand times what others do a few times."""

_USUAL = {
    *("process", "network", "between_tests", "request", "event_loop_policy"),
    *("tmp_path_factory", "tmp_path", "monkeypatch", "capsys"),
}


def coverage_of_this_thread() -> Any:
    """Return what follows this thread if that is coverage; None if it is a debugger, or nothing."""
    follow = sys.gettrace()
    return follow if type(follow).__module__.partition(".")[0] == "coverage" else None


class Following:
    """The plugin. Other threads are followed all the time, as coverage has it."""

    def __init__(self, follow: Any) -> None:
        self._follow = follow

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        sys.settrace(None)
        try:
            return (yield)
        finally:
            sys.settrace(self._follow)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._followed(_has_fixtures(item)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        about = getattr(getattr(item, "obj", None), "hypothesis", None)
        if about is None:
            return (yield from self._followed(item.name.partition("[")[0] not in REPEATING))
        test, about.inner_test = about.inner_test, self._by_example(about.inner_test)
        try:
            return (yield)
        finally:
            about.inner_test = test

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._followed(_has_fixtures(item)))

    def _followed(self, follows: bool) -> Generator[None, object, object]:
        sys.settrace(self._follow if follows else None)
        try:
            return (yield)
        finally:
            sys.settrace(None)

    def _by_example(self, test: Callable[..., Any]) -> Callable[..., Any]:
        left = iter(range(FOLLOWED_EXAMPLES))

        @functools.wraps(test)
        def example(*args: Any, **kwargs: Any) -> Any:
            sys.settrace(None if next(left, None) is None else self._follow)
            try:
                return test(*args, **kwargs)
            finally:
                sys.settrace(None)

        return example


def _has_fixtures(item: pytest.Item) -> bool:
    """Tell whether *item* asks for more than every test has, and than its own parameters."""
    usual = _USUAL | getattr(getattr(item, "callspec", None), "params", {}).keys()
    names = getattr(item, "fixturenames", ())
    return any(not (each in usual or each.startswith("_function_scoped")) for each in names)
