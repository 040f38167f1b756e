"""The Python side of the bridge in this process, with the test as Node: runs with a record."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.function_child import ID, talking

RUN = {"now": 1_000, "attempt": 2, "checkpoints": [], "asleep": []}


async def test_a_run_with_a_record_commits_each_step_and_goes_on(bundle: Path):
    async with talking(bundle) as node:
        commit = await node.invoke("steps", run=RUN)
        (entry,) = commit["entries"]
        node.say(type="ack", call=1, commit=commit["commit"])
        ended = await node.hear()

    assert (commit["type"], entry["id"], entry["text"]) == ("commit", "a", f'{{"value":{2**80}}}')
    assert 1_000 <= entry["startedAt"] < 60_000  # by Node's clock
    assert (ended["type"], ended["entries"], ended["call"]) == ("completed", [], 1)


async def test_a_run_with_a_record_sees_its_own_attempt_and_remembers_its_steps(bundle: Path):
    run = {
        **RUN,
        "checkpoints": [{"id": "a", "kind": "step", "text": '{"value":1}', "sequence": 0}],
    }
    async with talking(bundle) as node:
        said = await node.invoke("works", run=RUN, item={"attemptContext": {"attempt": 7}})
        assert json.loads(said["result"])["attempt"] == 2
        assert (await node.invoke("steps", call=2, run=run))["type"] == "completed"


async def test_a_run_that_is_stopped_in_a_long_step_ends_and_so_does_its_process(bundle: Path):
    async with talking(bundle) as node:
        item = {"eventName": "waits", "eventId": ID}
        node.say(type="invoke", call=1, workflow="waits", event=item, timeLeft=20, run=RUN)
        node.say(type="stop", call=1, why="stopped")
        ended = await node.hear()

    assert (ended["type"], ended["isSpent"]) == ("suspended", True)


async def test_what_is_said_of_a_call_that_has_ended_is_passed_over(bundle: Path):
    async with talking(bundle) as node:
        node.say(type="stop", call=9, why="stopped")
        assert (await node.invoke("works", run=RUN))["type"] == "completed"


async def test_of_a_run_with_a_record_a_file_that_cannot_be_imported_may_be_tried_again(
    bundle: Path,
):
    async with talking(bundle) as node:
        broken = await node.invoke("broken", run=RUN)
        unfit = await node.invoke("works", call=2, run=RUN, item={"eventId": "7"})

    assert (broken["type"], broken["final"], "retryIn" in broken) == ("failed", False, False)
    assert "nothing_of_that_name" in broken["error"]["traceback"]
    assert (unfit["type"], unfit["final"]) == ("failed", True)
