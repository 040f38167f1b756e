"""Plain handlers that begin threads of their own."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kit import define_workflow
from kit.execution.context import PlainContext
from kit.execution.threads import NAME
from kit.model.delivery import Completed, Suspended
from kit.testing import play

if TYPE_CHECKING:
    from conftest import Deliver, Delivered


async def test_threads_of_a_plain_handler_are_branches(deliver: Deliver) -> None:
    def handler(input: Any, context: PlainContext) -> int:
        with ThreadPoolExecutor(3) as pool:
            return sum(pool.map(lambda i: context.step.run(f"s{i}", lambda: i), range(3)))

    stage: Delivered = await deliver(handler)
    rounds = 1
    while isinstance(stage.outcome, Suspended):
        stage = await deliver(handler, stage.checkpoints)
        rounds += 1
    assert stage.outcome == Completed("3")
    assert rounds <= 4


def in_threads(input: Any, context: PlainContext) -> list[int]:
    def branch(number: int) -> int:
        value = context.step.run(f"first {number}", lambda: number)
        context.step.sleep(f"nap {number}", 60)
        return int(context.step.run(f"last {number}", lambda: value))

    with ThreadPoolExecutor(3) as pool:
        return [*pool.map(branch, range(3))]


@pytest.fixture
def without_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the threads that were there before: what runs the tests may read from a pipe."""
    kept = {each.ident for each in threading.enumerate() if each.name == NAME}
    before = {*sys._current_frames()} - kept

    def frames() -> dict[int, Any]:
        return {at: each for at, each in sys._current_frames().items() if at not in before}

    monkeypatch.setattr("kit.execution.idling.sys", SimpleNamespace(_current_frames=frames))


@pytest.mark.usefixtures("without_strangers")
@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_threads_that_wait_for_each_other_are_not_taken_for_busy(
    replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("kit.testing.stage.LINGER_SECONDS", 3600)
    played = play(define_workflow(name="threads")(in_threads), replay=replay)
    assert played.result == [0, 1, 2]
    assert sorted(played.steps) == sorted(f"{w} {n}" for w in ("first", "last") for n in range(3))


@pytest.mark.usefixtures("without_strangers")
def test_a_thread_that_is_busy_beside_a_sleep_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.execution.looking.GRACE_SECONDS", 0.2)
    monkeypatch.setattr("kit.testing.stage.LINGER_SECONDS", 3600)
    began: list[int] = []

    @define_workflow(name="busy-threads")
    def busy(input: Any, context: PlainContext) -> None:
        def works() -> None:
            began.append(1)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                sum(range(1000))
            context.step.run("late", lambda: began.append(2))

        with ThreadPoolExecutor(2) as pool:
            work = pool.submit(works)
            while not began:  # it is in code of its own from then on
                time.sleep(0.001)
            nap = pool.submit(context.step.sleep, "day", 86_400)
            work.result()
            nap.result()

    played = play(busy, replay="pauses")
    assert played.completed
    assert began[:2] == [1, 2]
