"""The Python side of the bridge in this process, with the test as Node: events."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.function_child import ID, talking


async def test_an_event_is_answered_by_its_workflow(bundle: Path):
    async with talking(bundle) as node:
        item = {"data": {"n": 1}, "attemptContext": {"attempt": 3}}
        said = await node.invoke("WORKS", item=item)

    result = {"data": {"n": 1}, "attempt": 3, "who": "netlify"}
    assert said == {
        "type": "completed",
        "call": 1,
        "result": json.dumps(result, separators=(",", ":")),
    }


async def test_a_fresh_step_suspends(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("steps")

    assert said["checkpoints"] == [{"id": "a", "text": f'{{"sequence":0,"value":{2**80}}}'}]


async def test_what_is_expected_is_imported_ahead(bundle: Path):
    async with talking(bundle) as node:
        for name in ("works", "broken", "unknown"):
            node.say(type="prepare", workflow=name)
        said = await node.invoke("works")

    assert said["type"] == "completed"


async def test_calls_side_by_side_are_told_apart(bundle: Path):
    async with talking(bundle) as node:
        for call in (1, 2, 3):
            item = {"eventName": "works", "eventId": ID, "data": call}
            node.say(type="invoke", call=call, workflow="works", event=item)
        heard = [await node.hear() for _ in range(3)]

    assert sorted((each["call"], json.loads(each["result"])["data"]) for each in heard) == [
        (1, 1), (2, 2), (3, 3)
    ]  # fmt: skip


async def test_a_failure_of_an_import_is_an_ordinary_one_with_the_files_own_traceback(
    bundle: Path,
):
    async with talking(bundle) as node:
        said = await node.invoke("broken", item={"attemptContext": {"nextDelayTime": 77}})

    assert (said["final"], "retryIn" in said) == (False, False)
    assert said["error"]["type"] == "WorkflowImportError"
    assert "nothing_of_that_name" in said["error"]["traceback"]


async def test_an_unknown_workflow_is_told_with_the_known_ones(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("unknown")

    assert "it has: broken, catches, changes," in said["error"]["message"]


async def test_an_id_that_is_none_is_final(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("works", item={"eventId": "7"})

    assert (said["type"], said["final"]) == ("failed", True)


async def test_whatever_is_raised_there_is_an_end(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("leaves")
        again = await node.invoke("works", call=2)

    assert "raised BaseException" in said["error"]["message"]
    assert again["type"] == "completed"


async def test_what_takes_too_long_names_the_limit_and_spends_the_process(bundle: Path):
    async with talking(bundle) as node:
        item = {"eventName": "waits", "eventId": ID}
        node.say(type="invoke", call=1, workflow="waits", event=item, timeLeft=2)
        said = await node.hear()

    assert said.get("isSpent") is True, said
    assert said["error"]["code"] == "FUNCTION_TIMED_OUT"
    after = re.search(r"after (.+) s, the limit of its function", said["error"]["message"])
    assert after
    assert 0 < float(after[1]) <= 1.6  # less what it took to load the workflow
    assert "background=True" in said["error"]["message"]


async def test_a_failure_that_becomes_a_suspension_is_in_the_log(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("catches")

    assert [each["id"] for each in said["checkpoints"]] == ["good"]
    [sleep] = said["sleeps"]
    assert sleep["id"] == "kit:retry:0"
    assert 0 < sleep["ms"] <= 5_000  # from the failure on, of which some has passed
    assert "ValueError: kept" in node.logs[-1]["text"]


async def test_output_carries_the_call_and_the_event(bundle: Path):
    async with talking(bundle) as node:
        await node.invoke("speaks", call=9)

    said = {"type": "log", "call": 9, "level": "info", "text": "said", "eventId": ID}
    assert node.logs == [said]  # pytest has taken what was logged


async def test_the_environment_is_changed_by_each_call(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ONE", "old")
    monkeypatch.setenv("TWO", "old")
    async with talking(bundle) as node:
        said = await node.invoke("changes", env={"ONE": "new"}, unset=["TWO", "NEVER"])

    assert json.loads(said["result"]) == ["new", None]
