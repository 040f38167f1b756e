"""What every test stands on: no network, and one way to deliver an event to a handler."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any

import pytest
import respx
from hypothesis import settings

from kit.client import background
from kit.model.delivery import AfterStep, Checkpoint, CheckpointKind, Suspended
from kit.model.event import Event
from kit.model.progress import ProgressKind
from kit.model.workflow import Workflow
from kit.project import importing
from kit.testing.stage import Stage
from tests.support.examples import BUSY, register_profiles
from tests.support.following import Following, coverage_of_this_thread
from tests.support.leaks import UNSTOPPABLE, Guard, strays

pytest_plugins = ["pytester"]
pytest.register_assert_rewrite("tests.support.client_suite", "tests.support.kit_dev")
register_profiles()
RUN_ID = "11111111-1111-4111-8111-111111111111"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{UNSTOPPABLE}: its threads and tasks cannot be ended")
    config.pluginmanager.register(Guard(), "leaks")
    if (follow := coverage_of_this_thread()) is not None:
        config.pluginmanager.register(Following(follow), "following")
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile(BUSY)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it puts behind
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()  # what is imported stays: to look through it again and again finds nothing
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """What the kit keeps for the life of a process ends with the test."""
    before, hook = dict(sys.modules), sys.excepthook
    yield
    sys.excepthook = hook  # the command line has its own
    background.end()
    importing.forget()
    for name in strays(before, sys.modules):  # a bundle's functions, what a test's code imports
        del sys.modules[name]


@pytest.fixture(scope="session")
def between_tests() -> Iterator[respx.MockRouter]:
    """
    Keeps respx in the network's place all the time, and refuses what is asked for between tests.

    To put it there and take it away again costs half of what a small test does.
    """
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        yield router


@pytest.fixture(autouse=True)
def network(between_tests: respx.MockRouter) -> Iterator[respx.MockRouter]:
    """A request nobody has mocked fails the test."""
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        respx.mocks.HTTPCoreMocker.unregister(between_tests)
        yield router
        respx.mocks.HTTPCoreMocker.register(between_tests)


class Delivered(Stage):
    """One delivery of an event, and all that could be seen of it."""

    def __init__(self, after_step: AfterStep = AfterStep.SUSPEND) -> None:
        super().__init__(Workflow(_nothing, "w"), Event("w", None, RUN_ID), after_step)
        self.clock = 1000
        self.asked_at: dict[str, int] = {}

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def observe(self, what: ProgressKind, data: Mapping[str, Any]) -> None:
        super().observe(what, data)
        self.asked_at[data.get("stepId", "")] = self.clock

    @property
    def sent(self) -> list[Event]:
        return self.played.sent


def _nothing() -> None:
    pass


Deliver = Callable[..., Awaitable[Delivered]]


@pytest.fixture
def deliver() -> Deliver:
    """Deliver an event once; what comes of it must leave no task behind."""
    return _deliver


@pytest.fixture
def make_stage() -> type[Delivered]:
    """Where a delivery happens, to be prepared or changed by a test."""
    return Delivered


async def _deliver(
    handler: Any,
    known: Mapping[str, Checkpoint] | None = None,
    /,
    *,
    data: Any = None,
    attempt: int = 0,
    time_left: float | None = None,
    stage: Delivered | None = None,
    after: AfterStep = AfterStep.SUSPEND,
    **policy: Any,
) -> Delivered:
    stage = stage or Delivered(after)
    stage.workflow = handler if isinstance(handler, Workflow) else Workflow(handler, "w", **policy)
    stage.event = Event("w", data, RUN_ID)
    stage.attempt = attempt
    stage.record.keep((known or {}).values())
    before = asyncio.all_tasks()
    await stage.deliver(time_left=time_left)
    is_async = inspect.iscoroutinefunction(stage.workflow.handler)
    while not is_async and asyncio.all_tasks() != before:
        await asyncio.sleep(0)  # its thread may have asked for something this very moment
    assert asyncio.all_tasks() == before
    stage.attempt = attempt
    if isinstance(stage.outcome, Suspended):
        # as on the platform: all sleeps are over together, and a wait counts as an attempt
        stage.record.fall_asleep(stage.outcome.sleeps, stage.clock)
        for over in stage.record.wake(max((each.due for each in stage.outcome.sleeps), default=0)):
            if over.step_id.startswith("kit:retry:"):
                stage.record.keep([over._replace(kind=CheckpointKind.RETRY)])
    return stage
