"""`kit dev` as one starts it: a process, a port, files that are saved, and Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from kit import AsyncWorkflowClient, WorkflowClient
from kit.model.errors import RejectedError

from .test_real_engine import VALUES, same

ROOT = Path(__file__).parents[2]
LIMIT = 60
"""Seconds until a test gives up; what takes how long is measured in benchmarks/dev.py."""

WORKFLOW = """
from kit import define_workflow
from words import GREETING

@define_workflow(max_retries=0)
async def hello(input, context):
    kept = await context.step.run("keep", lambda: GREETING)
    if input == "fail":
        raise ValueError("no more")
    if input == "nap":
        await context.step.sleep("rest", "3 seconds")
    return [kept, GREETING, input]
"""
BLOCKING = """
import time
from kit import define_workflow

@define_workflow
async def blocking(input, context):
    time.sleep(600)
"""
CLIENT = """
globalThis.Netlify = { env: { get: (name) => process.env[name] }, context: null };
const { AsyncWorkloadsClient } = await import("@netlify/async-workloads");
const [baseUrl, apiKey, ...sends] = process.argv.slice(2);
const client = new AsyncWorkloadsClient({ baseUrl, apiKey });
for (const each of sends) console.log(JSON.stringify(await client.send(...JSON.parse(each))));
"""


class Dev:
    """A server that answers at `url`."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.url = str(ready["url"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        found: dict[str, Any] = httpx.get(
            f"{self.url}/.netlify/functions/kit-runs/{run_id}", timeout=LIMIT
        ).json()
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Return a run that has ended."""
        return until(lambda: _if(self.run(run_id), lambda run: run["endedAt"]))

    def end(self) -> tuple[float, str]:
        """Press Ctrl-C; return the seconds it took, and what was said."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=LIMIT)
        return time.monotonic() - began, said


def _if(value: Any, condition: Callable[[Any], Any]) -> Any:
    return value if condition(value) else None


def until(condition: Callable[[], Any]) -> Any:
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it has not come to that in time")


@pytest.fixture
def project(tmp_path: Path, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> Path:
    network.route(host="127.0.0.1").pass_through()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "project"
    for each in (elsewhere / ".git", root / ".git", root / "functions/workflows"):
        each.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    (root / "functions/workflows/hello.py").write_text(WORKFLOW)
    (root / "words.py").write_text("GREETING = 'old'\n")
    return root


Start = Callable[..., Any]


@pytest.fixture
def start(project: Path) -> Start:
    @contextmanager
    def start(*arguments: str, **environ: str) -> Iterator[Dev]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kit.cli", "dev", "--json", "--port", "0", *arguments],
            cwd=project,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"it did not start: {process.communicate(timeout=LIMIT)[1]}")
            yield Dev(process, json.loads(line))
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=LIMIT)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    return start


def test_what_is_saved_is_taken_up_and_a_sleeping_run_goes_on_with_it(
    start: Start, project: Path
) -> None:
    with start() as dev, WorkflowClient(dev.url) as client:
        run = client.run_workflow("hello", "nap")
        until(lambda: dev.run(run.id)["status"] == "sleeping")
        (project / "words.py").write_text("GREETING = 'new'\n")
        assert dev.ended(run.id)["result"] == ["old", "new", "nap"]


def test_a_file_that_breaks_is_told_of_and_the_last_good_one_stays(
    start: Start, project: Path
) -> None:
    with start() as dev, WorkflowClient(dev.url) as client:
        (project / "functions/workflows/hello.py").write_text("def (")

        def page() -> str:
            return httpx.get(f"{dev.url}/_kit/workflows", timeout=LIMIT).text

        assert "SyntaxError" in until(lambda: _if(page(), lambda text: "SyntaxError" in text))
        assert dev.ended(client.run_workflow("hello", 1).id)["result"] == ["old", "old", 1]
        _, said = dev.end()
        assert "SyntaxError" in said


def test_runs_are_kept_over_ctrl_c(start: Start) -> None:
    with start() as dev, WorkflowClient(dev.url) as client:
        run_id = client.run_workflow("hello", "nap").id
        until(lambda: dev.run(run_id)["status"] == "sleeping")
        _, said = dev.end()
        assert dev.process.returncode == 0
        assert "unfinished runs are kept" in said
    with start() as dev:
        assert dev.ended(run_id)["result"] == ["old", "old", "nap"]


def test_ctrl_c_ends_it_even_while_a_handler_blocks_everything(start: Start, project: Path) -> None:
    (project / "functions/workflows/blocking.py").write_text(BLOCKING)
    with start() as dev, WorkflowClient(dev.url) as client:
        run_id = client.run_workflow("blocking", delay="0.5 seconds").id
        with contextlib.suppress(httpx.HTTPError):  # until nothing is answered any more
            while True:
                httpx.get(f"{dev.url}/.netlify/functions/kit-runs/{run_id}", timeout=2)
        seconds, said = dev.end()
        assert seconds < LIMIT / 2
        assert "it goes on from its last step" in said


def test_a_port_in_use_says_by_whom(start: Start) -> None:
    with start() as dev:
        port = dev.url.rpartition(":")[2]
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
            assert f"by process {dev.process.pid} (" in done.stderr


def test_a_second_one_shows_the_first_ones_runs(start: Start) -> None:
    with start() as first, start() as second, WorkflowClient(second.url) as client:
        assert second.ready["runs"]["drivenBy"] == first.process.pid
        run_id = client.run_workflow("hello", 1).id
        assert first.ended(run_id)["result"] == ["old", "old", 1]


def send(project: Path, dev: Dev, *events: list[Any], key: str = "any") -> list[dict[str, Any]]:
    """Send *events* with Netlify's own client."""
    script = project / "client.mjs"
    script.write_text(CLIENT)
    modules = project / "node_modules"
    if not modules.exists():
        modules.symlink_to(ROOT / "node_modules", target_is_directory=True)
    done = subprocess.run(
        ["node", str(script), dev.url, key, *map(json.dumps, events)],
        env={"PATH": os.environ["PATH"], "URL": dev.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_netlifys_own_client_sends_delays_and_manages(start: Start, project: Path) -> None:
    with start() as dev:
        now, later, dead, nobody = send(
            project,
            dev,
            ["hello", {"data": {"text": "é☃"}}],
            ["Hello", {"delayUntil": "1 hour", "priority": 7}],
            ["hello", {"data": "fail"}],
            ["nobody.wants.this"],
        )
        assert {each["sendStatus"] for each in (now, later, dead, nobody)} == {"succeeded"}
        assert dev.ended(now["eventId"])["result"] == ["old", "old", {"text": "é☃"}]
        waiting = dev.run(later["eventId"])
        assert (waiting["status"], waiting["priority"]) == ("queued", 7)
        assert waiting["dueAt"] > time.time() * 1000 + 3_500_000
        assert dev.ended(dead["eventId"])["status"] == "failed"

        send(
            project,
            dev,
            ["awl:delete-events", {"data": {"eventIds": [later["eventId"]]}}],
            ["awl:retry-failed-events", {"data": {"eventNames": ["hello"]}}],
        )
        assert dev.run(later["eventId"])["status"] == "cancelled"
        until(lambda: len(dev.run(dead["eventId"])["attempts"]) == 2)


def test_the_kits_client_sends_and_manages(start: Start) -> None:
    with start(WORKFLOW_API_KEY="right") as dev:
        with WorkflowClient(dev.url, "wrong") as stranger, pytest.raises(RejectedError) as caught:
            stranger.run_workflow("hello")
        assert caught.value.status_code == 401
        with WorkflowClient(dev.url, "right") as client:
            key = {"authorization": "Bearer right"}
            runs = f"{dev.url}/.netlify/functions/kit-runs"

            def of(run_id: str) -> dict[str, Any]:
                found: dict[str, Any] = httpx.get(f"{runs}/{run_id}", headers=key).json()
                return found

            sent = client.send_events([("hello", number) for number in range(20)])
            assert all(each.ok for each in sent)
            one = client.run_workflow("hello", id="order-1")
            assert client.run_workflow("hello", id="order-1").id == one.id
            later = client.send_event("hello", delay="1 hour")
            client.delete_events(ids=[later])
            assert of(later)["status"] == "cancelled"
            dead = client.send_event("hello", "fail")
            until(lambda: of(dead)["status"] == "failed")
            assert client.retry_events(everything=True).event_id
            until(lambda: len(of(dead)["attempts"]) == 2)
            for each in sent:
                until(lambda each=each: of(each.event_id)["status"] == "completed")


async def test_data_arrives_as_on_the_real_engine(start: Start) -> None:
    with start() as dev:
        async with AsyncWorkflowClient(dev.url) as client:
            sent = await client.send_events([("hello", value) for value in VALUES])
            lost = [
                value
                for value, each in zip(VALUES, sent, strict=True)
                if not same(value, dev.ended(each.event_id)["data"])
            ]
            assert lost == []
            await client.delete_events(everything=True)


def test_the_command_line_sends_to_it(start: Start, project: Path) -> None:
    def kit(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kit.cli", *arguments, "--base-url", dev.url],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "NO_PROXY": "127.0.0.1",
                "WORKFLOW_API_KEY": "any",
            },
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with start() as dev:
        run_id = kit("send", "hello", "--data", "1").strip()
        assert dev.ended(run_id)["result"] == ["old", "old", 1]
        later = kit("send", "hello", "--delay", "1h").strip()
        kit("events", "delete", later)
        assert dev.run(later)["status"] == "cancelled"
        kit("doctor")
