"""
What `kit dev` costs: the engine beside the engine within the server, lists of many runs, reload.

    python benchmarks/dev.py [--seconds 2] [--runs 10000] [--json]

Within the server, `watched` has a dashboard page open, which is drawn whenever something happens.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from kit.dev.app import make_app
from kit.dev.dashboard.routes import routes
from kit.dev.local import LocalRuns
from kit.dev.workflows import LiveWorkflows
from kit.engine.engine import Engine
from kit.model.event import Event
from kit.model.run import Run, RunStatus
from kit.model.workflow import Workflow
from kit.project.config import load
from kit.project.discovery import Discovery
from kit.store.sqlite.rows import RUN_COLUMNS, run_to_row
from kit.store.sqlite.schema import connect

FLIGHT = 32
ROUNDS = 6
BUDGETS = {
    "server over engine, time": ("at most", 1.10),
    "server over engine, processor": ("at most", 1.10),
    "list of runs, ms": ("at most", 50.0),
    "saved to taken up, s": ("at most", 1.0),
    "Ctrl-C to the end, s": ("at most", 1.0),
}
"""The issue's: the server's share of the engine's time, and what a person waits for."""

WORKFLOW = """
from kit import define_workflow

@define_workflow
async def hello(input):
    return {version}
"""


async def nothing(input: Any, context: Any) -> Any:
    """One step that does nothing."""
    return await context.step.run("one", idle)


async def idle() -> None:
    """Do nothing."""


FLOW = Workflow(nothing, name="flow")


async def rate(one: Callable[[], Awaitable[Any]], seconds: float) -> tuple[float, float]:
    """
    Return how many runs a second come to their end, `FLIGHT` of them under way, and the
    milliseconds of processor time each takes, which a busy machine changes little.
    """
    done, began, used = 0, time.perf_counter(), time.process_time()

    async def keep_going() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await one()
            done += 1

    await asyncio.gather(*(keep_going() for _ in range(FLIGHT)))
    return done / (time.perf_counter() - began), (time.process_time() - used) * 1000 / done


def event() -> Event:
    """Return a new event."""
    return Event("flow", None, str(uuid4()))


async def engine_rate(folder: Path, seconds: float) -> tuple[float, float]:
    """Return the rate of the engine by itself."""
    async with Engine(folder / "engine.db", {"flow": FLOW}.get) as engine:

        async def one() -> None:
            await engine.wait((await engine.submit(event())).id)

        await one()
        return await rate(one, seconds)


async def server_rate(folder: Path, seconds: float, *, watched: bool) -> tuple[float, float]:
    """Return the rate of the engine within the server, with a page open if *watched*."""
    workflows = LiveWorkflows(Discovery)
    workflows.load()
    workflows.admit(FLOW)
    settings = load(folder, environ={}).get_workflow()
    async with AsyncExitStack() as exits:
        name = "watched.db" if watched else "server.db"
        runs = await exits.enter_async_context(LocalRuns(folder / name, workflows, settings))
        if watched:
            exits.push_async_callback(_stop, asyncio.create_task(_watch(runs)))
            await asyncio.sleep(0.1)

        async def one() -> None:
            run, _ = await runs.driving.submit(event())
            await runs.driving.wait(run.id)

        await one()
        return await rate(one, seconds)


async def _watch(runs: LocalRuns) -> None:
    """Read a page's feed, as a browser does."""
    app: Any = make_app(port=1, token="t", dashboard=routes(runs, token="t"))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_kit/feed",
        "raw_path": b"/_kit/feed",
        "query_string": b"at=/",
        "headers": [(b"host", b"127.0.0.1:1")],
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 1),
        "client": None,
        "root_path": "",
    }

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def rates(folder: Path, seconds: float) -> dict[str, float]:
    """Return the medians of some rounds, each of all in turn, for machines drift."""
    rows: dict[str, Callable[[Path, float], Awaitable[tuple[float, float]]]] = {
        "engine": engine_rate,
        "server": partial(server_rate, watched=False),
        "watched": partial(server_rate, watched=True),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for number in range(ROUNDS):
        place = folder / str(number)
        place.mkdir()
        # there and back again: what a round does to the machine falls on each as often
        for name in [*rows][:: -1 if number % 2 else 1]:
            found[name].append(await rows[name](place, seconds))
    shown: dict[str, float] = {}
    for name, values in found.items():
        shown[f"{name}, runs/s"] = statistics.median(each for each, _ in values)
        shown[f"{name}, processor ms per run"] = statistics.median(each for _, each in values)
    for name in ("server", "watched"):
        shown[f"{name} over engine, time"] = _over(found, name, lambda each: 1 / each[0])
        shown[f"{name} over engine, processor"] = _over(found, name, lambda each: each[1])
    return shown


def _over(
    found: dict[str, list[tuple[float, float]]], name: str, cost: Callable[[Any], float]
) -> float:
    """Return the median of the ratios within each round."""
    pairs = zip(found[name], found["engine"], strict=True)
    return statistics.median(cost(one) / cost(other) for one, other in pairs)


def fill(path: Path, count: int) -> None:
    """Put *count* ended runs into a new file, one in fifty of them failed."""
    connection = connect(path)
    marks = ", ".join("?" * len(RUN_COLUMNS.split(",")))
    now = time.time_ns() // 1_000_000
    rows = (
        run_to_row(
            Run(
                str(uuid4()),
                f"flow-{number % 7}",
                RunStatus.FAILED if number % 50 == 0 else RunStatus.COMPLETED,
                json.dumps({"number": number, "text": "x" * 200}),
                created=now - number * 1000,
                started=now - number * 1000,
                ended=now - number * 1000 + 500,
                result=json.dumps("y" * 100),
            )
        )
        for number in range(count)
    )
    connection.execute("BEGIN")
    connection.executemany(f"INSERT INTO runs ({RUN_COLUMNS}) VALUES ({marks})", rows)
    connection.execute("COMMIT")
    connection.close()


def served(folder: Path, count: int) -> dict[str, float]:
    """Return what is measured from outside: lists, reload, and the end."""
    (folder / ".kit").mkdir()
    fill(folder / ".kit/runs.db", count)
    file = folder / "functions/workflows/hello.py"
    file.parent.mkdir(parents=True)
    file.write_text(WORKFLOW.format(version=0))
    process = subprocess.Popen(
        [sys.executable, "-m", "kit.cli", "dev", "--json", "--port", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            api = "/.netlify/functions/kit-runs"
            found = {
                "list of runs, ms": _median(client, "/_kit/"),
                "list of failed ones, ms": _median(client, "/_kit/?status=failed"),
                "search in all, ms": _median(client, "/_kit/?text=1234"),
                "runs API, a page, ms": _median(client, api),
                "saved to taken up, s": statistics.median(
                    _reload(client, file, version) for version in range(1, 8)
                ),
            }
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        return {**found, "Ctrl-C to the end, s": time.perf_counter() - began}
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def _median(client: httpx.Client, path: str, times: int = 21) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == http.client.OK, answer.text
    return statistics.median(took)


def _reload(client: httpx.Client, file: Path, version: int) -> float:
    """Return the seconds from saving until a run that is started is one of the new code."""
    text = WORKFLOW.format(version=version)
    began = time.perf_counter()
    file.write_text(text)
    while True:
        event_id = str(uuid4())
        body = json.dumps({"eventName": "hello", "eventId": event_id})
        client.post("/.netlify/functions/async-workloads-router", content=body)
        while True:
            run = client.get(f"/.netlify/functions/kit-runs/{event_id}").json()
            if run["endedAt"]:
                break
        if run["result"] == version:
            return time.perf_counter() - began
        time.sleep(0.01)


def main() -> None:
    """Measure, and print a table and how the budgets are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kit-dev-") as name:
        folder = Path(name)
        found = asyncio.run(rates(folder, options.seconds))
        place = folder / "project"
        place.mkdir()
        (place / ".git").mkdir()
        found |= served(place, options.runs)
    if options.json:
        print(json.dumps(found))
        return
    print(f"SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}, {options.runs} runs")
    for row, value in found.items():
        sense, budget = BUDGETS.get(row, ("", None))
        kept = "" if budget is None else f"   {sense} {budget:g}: {value <= budget and 'kept'}"
        print(f"{row:32} {value:10.2f}{kept.replace('False', 'MISSED')}")


if __name__ == "__main__":
    main()
