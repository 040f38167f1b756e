"""
Fails the very test that leaves something behind, not a later one that stumbles over it.

Looked at after each test: threads, child processes, open descriptors (files, sockets, SQLite),
tasks of its event loop, what the garbage collector complains of, imported modules, and what else
of the process tests like to change. Fixtures of a wider scope may keep what they make. Whatever
can be put back is put back, so that one leak fails one test.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
GRACE_SECONDS = 50.0
"""How long what is ending may take to end, on a busy machine. Only a leak costs that time."""

IDLE_WORKERS = {"kit-plain": "kit/execution/threads.py"}
"""Threads that wait for more work, by name, and the file they wait in; they hold up no exit."""

FROZEN_EVERY = 8
"""After how many tests what they have left alone is frozen: a collection looks at all the rest."""

UNSTOPPABLE = "unstoppable"
"""Marks a test whose code swallows all that could end it: its threads and tasks may stay."""

_HOMES = tuple(f"{home}{os.sep}" for home in (REPOSITORY / "kit", sys.prefix, sys.base_prefix))
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)
_LOGGERS = ("", "kit", "asyncio")


@dataclass(frozen=True)
class State:
    """What of this process a test could leave behind, or changed."""

    threads: dict[threading.Thread, str]
    children: set[int]
    descriptors: set[int]
    modules: dict[str, ModuleType]
    facts: dict[str, Any]
    allowed: dict[str, list[Any]] = field(default_factory=dict)
    """What else a fact may be, as a fixture of a wider scope has made it."""

    def keep(self, before: State, after: State) -> None:
        """Take for granted what has come between two other states."""
        self.threads.update((k, v) for k, v in after.threads.items() if k not in before.threads)
        self.children.update(after.children - before.children)
        self.descriptors.update(after.descriptors - before.descriptors)
        self.modules.update((k, v) for k, v in after.modules.items() if k not in before.modules)
        for name, value in after.facts.items():
            if before.facts.get(name) != value:
                self.allowed.setdefault(name, []).append(value)


def look() -> State:
    """Return what there is now."""
    return State(
        {each: each.name for each in threading.enumerate() if not _is_idle(each)},
        set(_children()),
        set(_descriptors()),
        dict(sys.modules),
        dict(_facts()),
    )


def _is_idle(thread: threading.Thread) -> bool:
    place = IDLE_WORKERS.get(thread.name)
    frame = sys._current_frames().get(thread.ident or 0) if place else None
    return bool(place and frame and frame.f_code.co_filename.endswith(place))


def _children() -> Iterator[int]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            yield from map(int, task.read_text().split())


def _descriptors() -> Iterator[int]:
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - quick: it is called for every test
        with suppress(OSError):  # the one it was listed with
            os.fstat(int(name))
            yield int(name)


def _facts() -> Iterator[tuple[str, Any]]:
    yield "the current folder", Path.cwd()
    yield "sys.path", list(sys.path)
    yield "sys.meta_path", list(sys.meta_path)
    yield "sys.excepthook", sys.excepthook
    yield "the environment", {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    for number in _SIGNALS:
        yield f"the handler of {number.name}", signal.getsignal(number)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        own = [each for each in logger.handlers if not type(each).__module__.startswith("_pytest")]
        yield f"the logger {name!r}", (logger.level, own)
    client = sys.modules.get("kit.client.api")
    yield "the provider in use", getattr(client, "_provider", None)


def leaks(known: State, now: State) -> list[str]:
    """Say what is there *now* that was not *known*, and what has changed."""
    return [
        *(
            f"the thread {name!r}"
            for each, name in now.threads.items()
            if each not in known.threads
        ),
        *(f"the process {pid}{_command(pid)}" for pid in sorted(now.children - known.children)),
        *(f"{_target(each)} open" for each in sorted(now.descriptors - known.descriptors)),
        *(f"the module {name}" for name in strays(known.modules, now.modules)),
        *(f"another module {name}" for name in _replaced(known.modules, now.modules)),
        *(
            f"{name} changed: {value!r}, which was {known.facts.get(name)!r}"
            for name, value in now.facts.items()
            if value != known.facts.get(name) and value not in known.allowed.get(name, ())
        ),
    ]


def _command(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return f" ({' '.join(words).strip() or 'ended, not waited for'})"
    return ""


def _target(descriptor: int) -> str:
    with suppress(OSError):
        return str(Path(f"/dev/fd/{descriptor}").readlink())
    return f"descriptor {descriptor}"


def strays(before: dict[str, ModuleType], after: dict[str, ModuleType]) -> list[str]:
    """Name new modules that are of no installed package: those of users' projects."""
    if before == after:  # so it is nearly always, and quickly seen
        return []
    return [name for name in after.keys() - before.keys() if not _belongs(name, after[name])]


def _replaced(before: dict[str, ModuleType], after: dict[str, ModuleType]) -> list[str]:
    """Name modules of the kit that are gone or others now: not those that tests have imported."""
    if before == after:
        return []
    own = (name for name in before if name.startswith("kit."))
    return [name for name in own if after.get(name) is not before[name]]


def _belongs(name: str, module: ModuleType) -> bool:
    try:
        file = getattr(module, "__file__", None) or next(iter(module.__path__))
    except (AttributeError, StopIteration):
        file = None
    except KeyError:  # a package without __init__.py, below one that is gone
        return False
    if file is None:
        return getattr(module, "__spec__", None) is not None or name in sys.builtin_module_names
    return name.startswith("tests.") or str(file).startswith(_HOMES)


def put_back(known: State, now: State) -> None:
    """Undo what can be undone."""
    for pid in now.children - known.children:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    for name in strays(known.modules, now.modules):
        del sys.modules[name]
    sys.modules.update({n: known.modules[n] for n in _replaced(known.modules, now.modules)})
    sys.path[:] = known.facts["sys.path"]
    sys.meta_path[:] = known.facts["sys.meta_path"]
    os.chdir(known.facts["the current folder"])
    environ = known.facts["the environment"]
    for name in now.facts["the environment"].keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)


class Guard:
    """The plugin."""

    def __init__(self) -> None:
        self._known: State | None = None
        self._module: object = None
        self._tests = 0
        self._left: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        module = item.getparent(pytest.Module)
        if module is not self._module:
            self._module, self._tests = module, 0
            gc.collect()
        if self._tests % FROZEN_EVERY == 0:
            gc.freeze()  # so that a collection looks at what the next tests make, and is cheap
        self._tests += 1
        self._known = self._known or look()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            made = yield
            if isinstance(made, asyncio.Runner):  # pytest-asyncio's, for this test
                fixturedef.addfinalizer(lambda: self._left.extend(_tasks(made)))
            return made
        before = look()
        made = yield
        assert self._known is not None
        self._known.keep(before, look())
        return made

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        try:
            done = yield
        finally:
            self._allow(item)
            left = [*self._left, *_complaints(), *self._leaks()]
            self._left.clear()
        if left:
            pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
        return done

    def _allow(self, item: pytest.Item) -> None:
        """Take for granted what the test says it cannot end: code that will not be stopped."""
        if item.get_closest_marker(UNSTOPPABLE) and self._known:
            self._known.threads.update({each: each.name for each in threading.enumerate()})
            self._left.clear()

    def _leaks(self) -> list[str]:
        known, now = self._known, look()
        assert known is not None
        until = time.monotonic() + GRACE_SECONDS
        while found := leaks(known, now):
            if not _may_end(known, now) or time.monotonic() > until:
                put_back(known, now)
                now = look()
                break
            time.sleep(0.01)
            now = look()
        for name, values in known.allowed.items():
            if now.facts[name] in values:
                now.facts[name] = known.facts[name]
        self._known = replace(now, allowed=known.allowed)
        return found


def _may_end(known: State, now: State) -> bool:
    new = now.threads.keys() - known.threads.keys()
    return bool(new or now.children - known.children or now.descriptors - known.descriptors)


def _tasks(runner: asyncio.Runner) -> list[str]:
    """Say which tasks of *runner*'s loop are left once whatever is ready has gone on."""
    loop = runner.get_loop()
    for _ in range(10):
        if not asyncio.all_tasks(loop):
            return []
        runner.run(asyncio.sleep(0))
    return [f"the task {task!r}" for task in asyncio.all_tasks(loop)]


def _complaints() -> list[str]:
    """Collect garbage, and return what objects had to say when they went."""
    heard: list[str] = []
    usual, sys.unraisablehook = sys.unraisablehook, _listener(heard)
    try:
        gc.collect()
    finally:
        sys.unraisablehook = usual
    return heard


def _listener(heard: list[str]) -> Callable[[Any], None]:
    return lambda unraisable: heard.append(repr(unraisable.exc_value))
