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

FOLLOWED_EXAMPLES = 50
"""How many examples of one property are followed; those after them take the same branches."""


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
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._followed())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        about = getattr(getattr(item, "obj", None), "hypothesis", None)
        if about is None:
            return (yield from self._followed())
        test, about.inner_test = about.inner_test, self._by_example(about.inner_test)
        try:
            return (yield)
        finally:
            about.inner_test = test

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._followed())

    def _followed(self) -> Generator[None, object, object]:
        sys.settrace(self._follow)
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
