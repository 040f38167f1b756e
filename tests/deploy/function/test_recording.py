"""Committing to a run's record, with the test as Node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.deploy.function.protocol import Said
from kit.deploy.function.recording import Recording
from kit.model.delivery import Checkpoint, Completed, Failed, Outcome, Suspended
from kit.model.failure import Failure


class Node:
    """Keeps what is said to it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def ids(self) -> list[list[str]]:
        return [[entry["id"] for entry in frame["entries"]] for frame in self.heard]

    def recording(self, time_left: float | None = 24, **more: Any) -> Recording:
        recording = Recording(self.heard.append, self.clock)
        recording.begin(time_left, **more)
        return recording


@pytest.fixture
def node() -> Node:
    return Node()


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_ends_in_one_turn_goes_together_and_returns_when_it_is_stored(node: Node):
    recording = node.recording()
    commits = [asyncio.ensure_future(recording.commit([Checkpoint(name)])) for name in "abc"]
    await turns()
    later = asyncio.ensure_future(recording.commit([Checkpoint("d")]))
    await turns()

    assert node.ids() == [["a", "b", "c"], ["d"]]
    assert not any(each.done() for each in commits)
    recording.receive(Said(1, "ack", 1))
    await asyncio.gather(*commits)
    assert not later.done()
    recording.receive(Said(1, "ack", 2))
    await later
    assert not recording.stopped


async def test_sleeps_that_are_over_go_with_the_first_commit_or_with_the_outcome(node: Node):
    recording = node.recording(woken=[Checkpoint("nap")])
    assert recording.left() == [Checkpoint("nap")]
    commit = asyncio.ensure_future(recording.commit([Checkpoint("a")]))
    await turns()
    recording.receive(Said(1, "ack", 1))
    await commit

    assert (node.ids(), recording.left()) == ([["nap", "a"]], [])


@pytest.mark.parametrize("what", ["stopped", "timed-out"])
async def test_a_run_that_is_to_end_begins_nothing_more_and_what_was_done_is_stored(
    node: Node, what: str
):
    recording = node.recording()
    commit = asyncio.ensure_future(recording.commit([Checkpoint("a")]))
    await turns()
    recording.receive(Said(1, what, 1))
    await commit

    assert recording.stopped


async def test_near_the_end_of_its_time_no_step_begins_if_one_is_done(node: Node):
    recording = node.recording(24)
    node.now = 20
    assert not recording.stopped  # it would never get to its first step

    commit = asyncio.ensure_future(recording.commit([Checkpoint("a")]))
    await turns()
    recording.receive(Said(1, "ack", 1))
    await commit
    assert recording.stopped
    node.now = 15
    assert not recording.stopped


async def test_without_a_limit_nothing_ends(node: Node):
    recording = node.recording(None)
    recording.receive(Said(1, "ack", 1))
    node.now = 1e9

    assert not recording.stopped


async def commits_and_hangs(recording: Recording, seen: list[str]) -> Outcome:
    try:
        await recording.commit([Checkpoint("a")])
        seen.append("went on")
    finally:
        seen.append("cleaned up")
    return Completed("1")


@pytest.mark.parametrize("said", [Said(1, "lost", 1), Said(1, "unstored", 1), Said(1, "stopped")])
async def test_who_may_not_go_on_is_broken_off_where_it_is(node: Node, said: Said):
    recording = node.recording()
    seen: list[str] = []
    ending = asyncio.ensure_future(recording.outcome(commits_and_hangs(recording, seen), 1))
    await turns()
    recording.receive(said)

    assert await ending == Suspended()
    assert (seen, recording.was_broken_off, recording.stopped) == (["cleaned up"], True, True)


async def test_nothing_is_said_once_it_is_broken_off(node: Node):
    recording = node.recording()

    async def executing() -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait_for(recording.commit([Checkpoint("late")]), 0.01)
        return Completed("1")

    ending = asyncio.ensure_future(recording.outcome(executing(), 1))
    await turns()
    recording.receive(Said(1, "lost"))
    await ending

    assert node.heard == []


async def test_running_out_of_time_is_no_failure_once_something_is_stored(node: Node):
    late = Failed(Failure("WorkflowError", "too long", code="FUNCTION_TIMED_OUT"), None)

    async def executing(recording: Recording, *, commits: bool) -> Outcome:
        if commits:
            await recording.commit([Checkpoint("a")])
        return late

    assert await node.recording().outcome(executing(node.recording(), commits=False), 1) is late
    recording = node.recording()
    ending = asyncio.ensure_future(recording.outcome(executing(recording, commits=True), 1))
    await turns()
    recording.receive(Said(1, "ack", 1))
    assert await ending == Suspended(goes_on=True)
