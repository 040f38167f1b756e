"""A driver that does not answer, such as a suspended process, and what those are told who wait."""

import asyncio
import os
import re

import pytest

from kit.engine.engine import Engine
from kit.model.run import RunStatus

from .conftest import START, FakeClock, Gate, Open, event, flow


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def driver(start: Open, gate: Gate) -> Engine:
    return await start(flow(gate.come))


@pytest.fixture
async def other(start: Open, driver: Engine) -> Engine:
    assert driver.is_driver
    return await start(flow(lambda: None), resume=(), clock=FakeClock())


def turn_deaf(driver: Engine) -> None:
    driver._driving.has_changed = lambda: None  # type: ignore[method-assign]


async def told(caplog: pytest.LogCaptureFixture, clock: FakeClock) -> list[str]:
    """Let time pass until something is told, or a minute is over; return what is told."""
    for _ in range(60):
        clock.advance(1000)
        await asyncio.sleep(0.1)
        if caplog.messages:
            break
    return caplog.messages


async def test_a_driver_that_hears_nothing_is_named_to_who_starts_a_run(
    driver: Engine, other: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    turn_deaf(driver)
    run = await other.submit(event())
    clock = other._clock
    assert isinstance(clock, FakeClock)
    (said,) = await told(caplog, clock)
    assert f"run {run.id} waits: process {os.getpid()} drives these runs" in said
    assert re.search(r"has not answered for 1\d s. It is suspended, or busy", said)
    assert f"`kill -CONT {os.getpid()}`" in said
    assert f"it is queued, and process {os.getpid()} drives these" in other.standing(run.id)
    for _ in range(3):
        clock.advance(10_000)
        await asyncio.sleep(0.1)
    assert len(caplog.messages) == 1, "once is enough"


async def test_a_driver_that_falls_silent_later_is_noticed_too(
    driver: Engine, other: Engine, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = await other.submit(event())
    waiting = asyncio.create_task(other.wait(run.id))
    await gate.somebody()
    while other._store.reader.requests():
        await asyncio.sleep(0.01)  # it has answered
    turn_deaf(driver)
    assert isinstance(other._clock, FakeClock)
    (said,) = await told(caplog, other._clock)
    assert "has not answered" in said
    gate.open()
    assert (await asyncio.wait_for(waiting, 50)).status is RunStatus.COMPLETED


async def test_of_a_driver_that_answers_nothing_is_said_however_long_a_step_takes(
    driver: Engine, other: Engine, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    run = await other.submit(event())
    await gate.somebody()
    assert isinstance(other._clock, FakeClock)
    for _ in range(10):
        while other._store.reader.requests():
            await asyncio.sleep(0.01)
        other._clock.advance(60_000)
        await asyncio.sleep(0.1)
    assert caplog.messages == []
    assert other.standing(run.id) == f"it is running, and process {os.getpid()} drives it"
    assert driver.standing(run.id) == "it is running, and this process drives it"
    gate.open()


async def test_how_a_run_stands_that_waits_for_its_time(driver: Engine) -> None:
    run = await driver.submit(event(due=START + 3_600_000))
    assert driver.standing(run.id).startswith("it is queued until 2026-01-01 ")
