"""What every test stands on: no network, and one way to deliver an event to a handler."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import respx

from kit.client import background
from kit.execution.execute import execute
from kit.model.delivery import AfterStep, Checkpoint, Delivery, Outcome
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.project import importing
from tests.support.leaks import UNSTOPPABLE, Guard, strays

pytest_plugins = ["pytester"]
RUN_ID = "11111111-1111-4111-8111-111111111111"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{UNSTOPPABLE}: its threads and tasks cannot be ended")
    config.pluginmanager.register(Guard(), "leaks")


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


@pytest.fixture(autouse=True)
def network() -> Iterator[respx.MockRouter]:
    """A request nobody has mocked fails the test."""
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        yield router


@dataclass
class Delivered:
    """One delivery of an event, and all that could be seen of it."""

    after_step: AfterStep = AfterStep.SUSPEND
    stopped: bool = False
    outcome: Outcome | None = None
    committed: list[tuple[str, ...]] = field(default_factory=list)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    sent: list[Event] = field(default_factory=list)
    seen: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    clock: int = 1000

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.committed.append(tuple(each.step_id for each in checkpoints))
        self.keep(checkpoints)

    def keep(self, checkpoints: Iterable[Checkpoint]) -> None:
        self.checkpoints |= {each.step_id: each for each in checkpoints}

    async def send(self, event: Event) -> None:
        self.sent.append(event)

    def observe(self, what: str, data: Mapping[str, Any]) -> None:
        self.seen.append((what, data))

    def now(self) -> int:
        self.clock += 1
        return self.clock

    @property
    def started(self) -> list[str]:
        return [data["stepId"] for what, data in self.seen if what == "step-started"]


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
    workflow = handler if isinstance(handler, Workflow) else Workflow(handler, "w", **policy)
    stage = stage or Delivered(after)
    stage.checkpoints = dict(known or {})
    before = asyncio.all_tasks()
    stage.outcome = await execute(
        workflow,
        Delivery(Event("w", data, RUN_ID), attempt, dict(stage.checkpoints)),
        stage,
        now=stage.now,
        send=stage.send,
        observe=stage.observe,
        time_left=time_left,
    )
    assert asyncio.all_tasks() == before
    stage.keep(stage.outcome.checkpoints)
    stage.keep(Checkpoint(s.step_id, s.kind) for s in getattr(stage.outcome, "sleeps", ()))
    return stage
