"""
Lets coverage follow the tests, and not what runs them.

A thread that is followed takes about twice its time in every line, also where nothing is measured:
in pytest's between the tests, and in Hypothesis's between the examples.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Generator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any
from weakref import WeakSet

import pytest

from kit.execution import threads
from tests.support.repeating import REPEATING

FOLLOWED_EXAMPLES = 20
"""How many examples of one property are followed; those after them take the same branches."""

_USUAL = {
    *("process", "network", "between_tests", "request", "event_loop_policy"),
    *("tmp_path_factory", "tmp_path", "monkeypatch", "capsys"),
}


def coverage_of_this_thread() -> Any:
    """Return what follows this thread if that is coverage; None if it is a debugger, or nothing."""
    follow = sys.gettrace()
    return follow if type(follow).__module__.partition(".")[0] == "coverage" else None


class Following:
    """The plugin. A thread is followed if the test is in which it began."""

    def __init__(self, follow: Any) -> None:
        self._follow = follow
        self._new_thread = threading.gettrace()
        self._unfollowed: WeakSet[threading.Thread] = WeakSet()
        self._resting: list[Any] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        return (yield from self._only_imports())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        return (yield from self._only_imports())

    def _only_imports(self) -> Generator[None, object, object]:
        """Follow what imports a module of the kit, which happens once, and else nothing."""
        sys.meta_path.insert(0, self)
        sys.settrace(None)
        try:
            return (yield)
        finally:
            sys.settrace(self._follow)
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find a module of the kit, whose import will be followed."""
        if name.partition(".")[0] != "kit":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader.exec_module = self._following(spec.loader.exec_module)  # type: ignore[method-assign, assignment]
        return spec

    def _following(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def followed(module: ModuleType) -> None:
            before = sys.gettrace()
            if threading.current_thread() is threading.main_thread():  # whose tracer it is
                sys.settrace(self._follow)
            try:
                execute(module)
            finally:
                sys.settrace(before)

        return followed

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._followed(_has_fixtures(item)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        about = getattr(getattr(item, "obj", None), "hypothesis", None)
        follows = item.name.partition("[")[0] not in REPEATING
        if about is None or not follows:
            return (yield from self._followed(follows))
        test, about.inner_test = about.inner_test, self._by_example(about.inner_test)
        try:
            return (yield)
        finally:
            about.inner_test = test

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._followed(_has_fixtures(item)))

    def _followed(self, follows: bool) -> Generator[None, object, object]:
        self._threads(follows)
        sys.settrace(self._follow if follows else None)
        try:
            return (yield)
        finally:
            sys.settrace(None)

    def _threads(self, follow: bool) -> None:
        """Let new threads be followed or not, and those that wait for work rest if they differ."""
        threading.settrace(self._new_thread if follow else self._leave)
        waiting = [*threads._idle, *self._resting]
        threads._idle[:] = [each for each in waiting if (each[0] in self._unfollowed) != follow]
        self._resting = [each for each in waiting if (each[0] in self._unfollowed) == follow]

    def _leave(self, *_: object) -> None:
        """Begin a thread that is not followed."""
        self._unfollowed.add(threading.current_thread())
        sys.settrace(None)

    def _by_example(self, test: Callable[..., Any]) -> Callable[..., Any]:
        left = iter(range(FOLLOWED_EXAMPLES))

        @functools.wraps(test)
        def example(*args: Any, **kwargs: Any) -> Any:
            follows = next(left, None) is not None
            self._threads(follows)
            sys.settrace(self._follow if follows else None)
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
