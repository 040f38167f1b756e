"""The Python side of the bridge: what lines from Node do, and what goes out otherwise."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kit.client.default import Default, use
from kit.deploy.function import child as child_module
from kit.project.catalog import Catalog
from tests.support.function_child import ID, Collecting, talking


async def test_events_go_through_the_provider_with_their_chain(bundle: Path):
    source = Collecting()
    use(Default(source, Catalog()))  # type: ignore[arg-type]
    try:
        async with talking(bundle) as node:
            await node.invoke("sends", item={"eventChain": ["first", "sends"]})
    finally:
        use(None)

    assert source.sent == [("other", {"n": 1}, ("first", "sends"))]


async def test_bodies_of_unknown_calls_are_dropped(bundle: Path):
    async with talking(bundle) as node:
        node.say(type="took", call=99)
        said = await node.invoke("works")

    assert said["type"] == "completed"


async def test_a_line_that_cannot_be_read_is_told_at_once_and_costs_the_next_nothing(
    bundle: Path,
):
    deep = '{"type":"invoke","call":5,"workflow":"works","event":{"data":' + "[" * 3_000
    lines = ["", "{", "[]", '{"type":"dance","call":4}', deep + "]" * 3_000 + "}}"]
    async with talking(bundle) as node:
        node.say_text("\n".join([*lines, ""]))
        node.say(
            type="invoke", call=6, workflow="works", event={"eventName": "works", "eventId": ID}
        )
        said = [await node.hear() for _ in range(3)]

    assert [(each["call"], each["type"], each.get("final")) for each in said] == [
        (4, "failed", False),
        (5, "failed", True),
        (6, "completed", None),
    ]
    assert "nested more than" in said[1]["error"]["message"]
    assert sum("cannot be read" in each["text"] for each in node.logs) == 3


async def test_a_large_event_arrives_in_many_pieces(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("counts", item={"data": "é" * 1_000_000})

    assert said["result"] == "1000000"


def test_the_process_ends_when_node_has_gone(bundle: Path):
    ours, theirs = socket.socketpair()
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "from kit.deploy.function.child import main; main()"
    )
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "KIT_BUNDLE": str(bundle)},
        )
        theirs.close()
        ours.settimeout(50)
        assert json.loads(ours.makefile().readline())["pid"] == process.pid
    assert process.wait(timeout=50) == 0


async def test_what_was_deferred_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    from kit.client import background

    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("sent")

    background.defer(work())
    await child_module._flush(5)

    assert done == ["sent"]
