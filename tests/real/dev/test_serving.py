"""`kit dev` as others meet it: the command line, Netlify's own client, strangers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.kit_dev import LIMIT, ROOT, RUNS, KitDev

CLIENT = """
globalThis.Netlify = { env: { get: (name) => process.env[name] }, context: null };
const { AsyncWorkloadsClient } = await import("@netlify/async-workloads");
const [baseUrl, apiKey, ...sends] = process.argv.slice(2);
const client = new AsyncWorkloadsClient({ baseUrl, apiKey });
for (const each of sends) console.log(JSON.stringify(await client.send(...JSON.parse(each))));
"""


def test_a_port_in_use_says_by_whom(served: KitDev) -> None:
    port = served.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "kit.cli", "dev", "--port", port],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr
    assert "another is free: kit dev --port" in done.stderr
    if sys.platform == "linux":
        assert f"by process {served.process.pid} (" in done.stderr


def kit(dev: KitDev, *given: str) -> str:
    """Carry out another command in the project, beside the server."""
    done = subprocess.run(
        [sys.executable, "-m", "kit.cli", *given],
        cwd=dev.root,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
        | {"WORKFLOW_API_KEY": "any"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kit_run_beside_it_has_its_run_executed_here(served: KitDev) -> None:
    assert json.loads(kit(served, "run", "hello", "--json"))["result"] == ["old", "old"]
    [run] = [
        each
        for each in served.ask("GET", f"{RUNS}?limit=1").json["runs"]
        if each["workflow"] == "hello"
    ]
    assert "keep" in served.ask("GET", f"/_kit/runs/{run['id']}").text


def test_the_command_line_sends_to_it_and_examines_it(served: KitDev) -> None:
    def told(*given: str) -> str:
        return kit(served, *given, "--base-url", served.url).strip()

    run_id = told("send", "hello", "--data", "null")
    assert served.ended(run_id)["result"] == ["old", "old"]
    later = told("send", "hello", "--delay", "1h")
    kit(served, "runs", "stop", later)
    served.when(later, lambda run: run["status"] == "cancelled")
    assert "kit dev keeps its runs in SQLite" in told("doctor", "--try-store")


def send(dev: KitDev, folder: Path, *events: list[Any]) -> list[dict[str, Any]]:
    """Send *events* with Netlify's own client."""
    script = folder / "client.mjs"
    script.write_text(CLIENT)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(ROOT / "node_modules", target_is_directory=True)
    done = subprocess.run(
        ["node", str(script), dev.url, "any", *map(json.dumps, events)],
        env={"PATH": os.environ["PATH"], "URL": dev.url},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_netlifys_own_client_sends_delays_and_manages(served: KitDev, tmp_path: Path) -> None:
    now, later, dead, nobody = send(
        served,
        tmp_path,
        ["hello", {"data": {"text": "é☃"}}],
        ["Hello", {"delayUntil": "1 hour", "priority": 7}],
        ["hello", {"data": "fail"}],
        ["nobody.wants.this"],
    )
    assert {each["sendStatus"] for each in (now, later, dead, nobody)} == {"succeeded"}
    assert served.ended(now["eventId"])["data"] == {"text": "é☃"}
    waiting = served.run(later["eventId"])
    assert (waiting["status"], waiting["priority"]) == ("queued", 7)
    assert waiting["dueAt"] > time.time() * 1000 + 3_500_000
    assert served.ended(dead["eventId"])["status"] == "failed"

    send(
        served,
        tmp_path,
        ["awl:delete-events", {"data": {"eventIds": [later["eventId"]]}}],
        ["awl:retry-failed-events", {"data": {"eventNames": ["hello"]}}],
    )
    assert served.run(later["eventId"])["status"] == "cancelled"
    served.when(dead["eventId"], lambda run: len(run["attempts"]) == 2)


Ask = Callable[[socket.socket], None]


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\xa5" + b"\0" * 100,
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /.netlify/functions/async-workloads-router HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
        b"",
    ],
)
def test_whatever_arrives_the_next_one_is_answered(served: KitDev, text: bytes) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    answer = b""
    with socket.create_connection((host, int(port)), LIMIT) as stranger, suppress(OSError):
        stranger.sendall(text)  # it may be told no, and left, before it has said all
        stranger.shutdown(socket.SHUT_WR)
        answer = stranger.recv(100)

    assert not answer.startswith(b"HTTP/1.1 2")
    assert served.ask("GET", "/_kit/").status == 200
    assert "Traceback" not in served.said
