"""An engine on a real file, and a clock that stands still until it is told to go on."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.model.event import Event, derived_id
from kit.model.workflow import Workflow

START = 1_767_225_600_000


@dataclass(eq=False)
class FakeTimer:
    when: int
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeClock:
    """Time that goes on only in `advance`; `put` sets what the calendar says, forward or back."""

    time: int = START
    ahead: int = 0
    timers: list[FakeTimer] = field(default_factory=list)

    def now(self) -> int:
        return self.time + self.ahead

    def steady(self) -> int:
        return self.time

    def put(self, milliseconds: int) -> None:
        self.ahead += milliseconds

    def call_at(self, when: int, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(when - self.ahead, callback)
        self.timers.append(timer)
        return timer

    def next_due(self) -> int | None:
        return min((timer.when for timer in self.timers if not timer.cancelled), default=None)

    def advance(self, milliseconds: int) -> None:
        """Go on, and call back whatever is due by then."""
        self.time += milliseconds
        due = [timer for timer in self.timers if timer.when <= self.time]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            if not timer.cancelled:
                timer.callback()


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several engines look after each other all the time: nothing is gained by waiting for that."""
    monkeypatch.setattr("kit.engine.driving.LOOK_SECONDS", 0.01)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


Open = Callable[..., Any]


@pytest.fixture
async def start(path: Path, clock: FakeClock) -> AsyncIterator[Open]:
    """Open an engine with some workflows; it is closed at the end, if it has not been."""
    async with AsyncExitStack() as stack:

        async def opened(*workflows: Workflow[..., Any], **options: Any) -> Engine:
            by_name = {workflow.event_name: workflow for workflow in workflows}
            options = {"clock": clock, "durability": "normal", **options}
            return await stack.enter_async_context(Engine(path, by_name.get, **options))

        yield opened


_numbers = count()


def event(name: str = "flow", data: Any = None, **facts: Any) -> Event:
    """Return a new event, with an id of its own if none is given."""
    event_id = facts.pop("id", None) or derived_id("test", str(next(_numbers)))
    return Event(name, data, event_id, **facts)


def flow(handler: Callable[..., Any], name: str = "flow", **policy: Any) -> Workflow[..., Any]:
    return Workflow(handler, name=name, **policy)


class Gate:
    """A step that waits until it is let through, and tells when somebody has come."""

    def __init__(self) -> None:
        self.entered = 0
        self._came = asyncio.Event()
        self._open = asyncio.Event()

    async def come(self) -> None:
        self.entered += 1
        self._came.set()
        await self._open.wait()

    async def somebody(self) -> None:
        await self._came.wait()

    def open(self) -> None:
        self._open.set()


@contextmanager
def write_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Keep the engine from writing meanwhile: as if the disk took its time.

    What holds the lock is given, to write with, as another process would.
    """
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


def break_disk(engine: Engine) -> None:
    """Let every write of *engine* fail from now on, as on a disk mounted read-only."""
    engine._store._writer._connection._sqlite.execute("PRAGMA query_only = 1")


def fill_disk(engine: Engine) -> None:
    """Let no more than a few pages of *engine*'s file be written from now on."""
    writer = engine._store._writer._connection._sqlite
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")


async def turns(number: int = 20) -> None:
    """Let everything that can go on at once do so."""
    for _ in range(number):
        await asyncio.sleep(0)


async def hello(input: Any, context: Any) -> Any:
    return await context.step.run("greet", lambda: f"hello {input}")


async def finished(engine: Engine, *args: Any, **facts: Any) -> Any:
    run = await engine.submit(event(*args, **facts))
    return await asyncio.wait_for(engine.wait(run.id), 50)


async def nothing() -> None: ...


def fails() -> None:
    raise LookupError("no")


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 50)


def where(name: str, ran: list[str], workflow: str = "flow", gate: Gate | None = None) -> Any:
    """Return a workflow that notes in *ran* that the engine *name* has executed it."""

    async def handler(input: Any, context: Any) -> str:
        await context.step.run("first", ran.append, name)
        if gate is not None:
            await context.step.run("gate", gate.come)
        return name

    return flow(handler, workflow)


def busy_step() -> tuple[Callable[..., Any], threading.Event, threading.Event]:
    """Return a handler whose plain step is busy, what tells that it is, and what lets it go on."""
    entered, go_on = threading.Event(), threading.Event()

    def busy() -> None:
        entered.set()
        go_on.wait(50)

    async def handler(input: Any, context: Any) -> None:
        await context.step.run("busy", busy)

    return handler, entered, go_on
