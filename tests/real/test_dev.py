"""`kit dev` as one starts it: a process, a port, files that are saved, and what can befall it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import respx

from kit import WorkflowClient
from kit.dev.server import GRACE_SECONDS
from kit.dev.watching import DEBOUNCE_MS
from tests.support.kit_dev import LIMIT, ROOT, RUNS, KitDev, until

FAST = {"WORKFLOW_DURABILITY": "normal"}
WORKFLOW = """
from itertools import count
from pathlib import Path
from kit import define_workflow
from words import GREETING

@define_workflow(max_retries=0)
async def hello(input, context):
    kept = await context.step.run("keep", lambda: GREETING)
    if input == "fail":
        raise ValueError("no more")
    if input == "wait":  # however long the test takes until it says so
        for number in count():
            if await context.step.run(f"look {number}", Path("go").exists):
                break
            await context.step.sleep(f"nap {number}", 0.2)
    return [kept, GREETING]
"""
BLOCKING = """
import time
from pathlib import Path
from kit import define_workflow

@define_workflow
async def blocking(input, context):
    Path("blocks").touch()
    time.sleep(600)
"""
CLIENT = """
globalThis.Netlify = { env: { get: (name) => process.env[name] }, context: null };
const { AsyncWorkloadsClient } = await import("@netlify/async-workloads");
const [baseUrl, apiKey, ...sends] = process.argv.slice(2);
const client = new AsyncWorkloadsClient({ baseUrl, apiKey });
for (const each of sends) console.log(JSON.stringify(await client.send(...JSON.parse(each))));
"""


def make_project(root: Path) -> Path:
    for each in (root / ".git", root / "functions/workflows"):
        each.mkdir(parents=True)
    (root / "functions/workflows/hello.py").write_text(WORKFLOW)
    (root / "words.py").write_text("GREETING = 'old'\n")
    return root


@pytest.fixture(autouse=True)
def _outside(network: respx.MockRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in no project; requests to this machine are let through."""
    network.route(host="127.0.0.1").pass_through()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".git").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def dev(project: Path) -> Iterator[KitDev]:
    """A server of a test's own."""
    with KitDev(project, environ=FAST) as dev:
        yield dev


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitDev]:
    """A server for those who only send something."""
    with KitDev(make_project(tmp_path_factory.mktemp("served")), environ=FAST) as dev:
        yield dev


def begin(dev: KitDev, data: Any = None, name: str = "hello") -> str:
    """Start a run, and return its id."""
    with WorkflowClient(dev.url) as client:
        return client.run_workflow(name, data).id


def wait(dev: KitDev) -> str:
    """Start a run that sleeps, again and again, until it is let `go`; return its id."""
    run_id = begin(dev, "wait")
    dev.when(run_id, lambda run: run["status"] == "sleeping")
    return run_id


def go(dev: KitDev) -> None:
    """Let the run that sleeps come to its end."""
    (dev.root / "go").touch()


def test_what_is_saved_is_taken_up_and_a_sleeping_run_goes_on_with_it(dev: KitDev) -> None:
    run_id = wait(dev)
    before = dev.processor_seconds
    (dev.root / "words.py").write_text("GREETING = 'new'\n")
    until(lambda: "reloaded" in dev.said)
    computed = dev.processor_seconds - before
    go(dev)

    assert dev.ended(run_id)["result"] == ["old", "new"]
    # what it waits for, and what it computes: a busy machine has no say in either
    assert computed + DEBOUNCE_MS / 1_000 < 1


def test_a_file_that_breaks_is_told_of_and_the_last_good_one_stays(dev: KitDev) -> None:
    (dev.root / "functions/workflows/hello.py").write_text("def (")
    until(lambda: "SyntaxError" in dev.ask("GET", "/_kit/workflows").text)

    assert dev.ended(begin(dev))["result"] == ["old", "old"]
    assert "SyntaxError" in dev.said


def test_whatever_is_saved_in_a_hurry_the_last_counts(dev: KitDev) -> None:
    file = dev.root / "functions/workflows/hello.py"
    for number in range(40):
        file.write_text("def (" if number % 3 else WORKFLOW.replace("GREETING]", f"{number}]"))
    file.write_text(WORKFLOW.replace("GREETING]", "'last']"))

    until(lambda: dev.ended(begin(dev))["result"] == ["old", "last"])


def test_a_run_whose_file_is_deleted_waits_until_it_comes_back(dev: KitDev) -> None:
    file = dev.root / "functions/workflows/hello.py"
    run_id = wait(dev)
    text = file.read_text()
    file.unlink()
    until(lambda: "No workflows yet" in dev.ask("GET", "/_kit/workflows").text)
    dev.end(signal.SIGKILL)
    go(dev)
    with KitDev(dev.root, environ=FAST) as again:
        until(lambda: again.run(run_id)["dueAt"] < time.time() * 1_000)
        assert "No file here defines" in again.ask("GET", f"/_kit/runs/{run_id}").text
        assert again.run(run_id)["endedAt"] is None
        file.write_text(text)

        assert again.ended(run_id)["result"] == ["old", "old"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_runs_are_kept_however_it_ends(dev: KitDev, number: int) -> None:
    run_id = wait(dev)
    said = dev.end(number)
    if number != signal.SIGKILL:
        assert dev.process.returncode == 0
        assert "Traceback" not in said
    go(dev)
    with KitDev(dev.root, environ=FAST) as again:
        run = again.ended(run_id)

        assert run["result"] == ["old", "old"]
        assert [step["id"] for step in run["steps"]][:3] == ["keep", "look 0", "nap 0"]


def test_ctrl_c_ends_it_at_once_whoever_listens(dev: KitDev) -> None:
    wait(dev)
    with closing(http.client.HTTPConnection(dev.url.removeprefix("http://"))) as page:
        page.request("GET", "/_kit/feed?at=/")
        page.getresponse().readline()
        computed = dev.computed_to_the_end()

    assert dev.process.returncode == 0
    assert "Traceback" not in dev.said
    assert computed + GRACE_SECONDS < 1


def test_ctrl_c_ends_it_even_while_a_handler_blocks_everything(dev: KitDev) -> None:
    (dev.root / "functions/workflows/blocking.py").write_text(BLOCKING)
    until(lambda: "reloaded" in dev.said)
    begin(dev, name="blocking")
    until((dev.root / "blocks").exists)
    dev.press()
    said = dev.end()  # pressed twice

    assert "it goes on from its last step" in said
    assert "Traceback" not in said


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


def test_a_second_one_shows_the_first_ones_runs_and_takes_over(dev: KitDev) -> None:
    with KitDev(dev.root, environ=FAST) as second:
        assert second.ready["runs"]["drivenBy"] == dev.process.pid
        assert dev.ended(begin(second))["result"] == ["old", "old"]
        run_id = wait(dev)
        dev.end(signal.SIGKILL)
        go(dev)

        assert second.ended(run_id)["result"] == ["old", "old"]


def test_a_laptop_that_was_shut_goes_on_where_it_was(dev: KitDev) -> None:
    run_id = wait(dev)
    dev.press(signal.SIGSTOP)
    with pytest.raises(TimeoutError):  # meanwhile its nap is over
        dev.ask("GET", "/_kit/", patience=0.3)
    dev.press(signal.SIGCONT)
    go(dev)

    assert dev.ended(run_id)["result"] == ["old", "old"]
    assert dev.ask("GET", "/_kit/").status == 200


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
