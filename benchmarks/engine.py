"""
How fast the local engine is, beside a floor and beside its peers, in the same run.

    python benchmarks/engine.py [--seconds 2] [--peers] [--json]

The floor is asyncio and one thread that commits in groups to SQLite: one row each for start, step
and done, and nothing is resumed before its COMMIT. With --peers, DBOS runs on SQLite as shipped and
with its file switched to WAL, in a throwaway virtual environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

STEPS = (1, 10)
FLIGHTS = (1, 32)
ASYNC, PLAIN = "kit, full, async steps", "kit, full, plain steps"
FLOOR, WAL = "floor, full", "DBOS, wal"
FIRST_STEP = "start to first step, ms"
BUDGETS: tuple[tuple[str, str, str, str, float], ...] = (
    ("1 step, 32 in flight", ASYNC, FLOOR, "at least", 0.35),
    ("1 step, 32 in flight", ASYNC, WAL, "at least", 30),
    ("1 step, 1 in flight", ASYNC, FLOOR, "at least", 0.7),
    ("10 steps, 32 in flight", ASYNC, FLOOR, "at least", 0.4),
    ("1 step, 32 in flight", PLAIN, ASYNC, "at least", 0.8),
    ("10 steps, 32 in flight", PLAIN, ASYNC, "at least", 0.8),
    (FIRST_STEP, ASYNC, WAL, "at most", 0.15),
)
"""DESIGN.md §12: whose figure to whose. Digits drift with the machine, ratios of one run less."""

ROUNDS = 3
"""So often everybody has their turn, in turn; the median counts."""

OVER_A_BARE_INTERPRETER = 0.15
"""Seconds to the step in which the last process was killed, at most."""

One = Callable[[int], Awaitable[None]]


def label(steps: int, flight: int) -> str:
    """Return the name of a column."""
    return f"{steps} step{'s' if steps > 1 else ''}, {flight} in flight"


async def rate(one: Callable[[], Awaitable[None]], flight: int, seconds: float) -> float:
    """Return how many a second come to their end with *flight* of them under way."""
    for _ in range(3):
        await one()
    done, began = 0, time.perf_counter()

    async def keep_going() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await one()
            done += 1

    await asyncio.gather(*(keep_going() for _ in range(flight)))
    return done / (time.perf_counter() - began)


async def rates(one: One, seconds: float) -> dict[str, float]:
    """Return the rates of every number of steps and of runs in flight."""
    return {
        label(steps, flight): await rate(partial(one, steps), flight, seconds)
        for steps in STEPS
        for flight in FLIGHTS
    }


async def kit_rates(seconds: float, durability: Any, *, plain: bool) -> dict[str, float]:
    """Return the kit's rates with steps that do nothing, async or in threads."""
    from kit.engine.engine import Engine
    from kit.model.event import Event
    from kit.model.workflow import Workflow

    async def nothing() -> None: ...
    def nothing_plain() -> None: ...

    step = nothing_plain if plain else nothing

    def workflow(steps: int) -> Workflow[..., Any]:
        async def handler(input: Any, context: Any) -> None:
            for number in range(steps):
                await context.step.run(f"step-{number}", step)

        return Workflow(handler, name=f"steps-{steps}")

    workflows = {f"steps-{steps}": workflow(steps) for steps in STEPS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        async with Engine(path, workflows.get, durability=durability) as engine:

            async def one(steps: int) -> None:
                run = await engine.submit(Event(f"steps-{steps}", None, str(uuid4())))
                await engine.wait(run.id)

            return await rates(one, seconds)


async def kit_first_step(number: int = 300) -> float:
    """Return the median milliseconds from the call of `submit` to the first step's function."""
    from kit.engine.engine import Engine
    from kit.model.event import Event
    from kit.model.workflow import Workflow

    entered = 0.0

    async def enter() -> None:
        nonlocal entered
        entered = time.perf_counter()

    async def handler(input: Any, context: Any) -> None:
        await context.step.run("enter", enter)

    took = []
    with tempfile.TemporaryDirectory() as folder:
        flow = Workflow(handler, name="flow")
        async with Engine(Path(folder) / "runs.db", {"flow": flow}.get) as engine:
            for _ in range(number):
                began = time.perf_counter()
                run = await engine.submit(Event("flow", None, str(uuid4())))
                await engine.wait(run.id)
                took.append((entered - began) * 1000)
    return statistics.median(took)


RESUMED = """
import asyncio, sys
from pathlib import Path
from kit.engine.engine import Engine
from kit.model.event import Event
from kit.model.workflow import Workflow

async def second():
    print("entered", flush=True)
    await asyncio.Event().wait()

async def handler(input, context):
    await context.step.run("first", lambda: print("first", flush=True))
    await context.step.run("second", second)

async def main():
    flow = Workflow(handler, name="flow")
    async with Engine(Path(sys.argv[1]), {"flow": flow}.get) as engine:
        await engine.submit(Event("flow", None, "0b0b0b0b-0000-4000-8000-00000000000a"))
        await asyncio.Event().wait()

asyncio.run(main())
"""


def kit_resume(times: int = 5) -> float:
    """Return the median seconds from spawning a process to the step the last was killed in."""
    took = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "runs.db")
            _until_entered_and_killed(path)
            took.append(_until_entered_and_killed(path))
    return statistics.median(took)


def _until_entered_and_killed(path: str) -> float:
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", RESUMED, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"entered":
                break
        took = time.perf_counter() - began
        process.send_signal(signal.SIGKILL)
    return took


BARE = "bare interpreter"


def boot(times: int = 5) -> float:
    """Return the median seconds that an interpreter takes to begin and to end."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


class Floor:
    """A thread that commits whatever has gathered: nothing else."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[tuple[tuple[str, str], asyncio.Future[None]] | None] = (
            SimpleQueue()
        )
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute(f"PRAGMA synchronous = {synchronous}")
        self._file.execute("CREATE TABLE rows (run TEXT, what TEXT)")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def write(self, run: str, what: str) -> asyncio.Future[None]:
        """Write a row; the future is resolved after its COMMIT."""
        future = self._loop.create_future()
        self._inbox.put(((run, what), future))
        return future

    def close(self) -> None:
        """End the thread, and close the file."""
        self._inbox.put(None)
        self._thread.join()
        self._file.close()

    def _work(self) -> None:
        while (item := self._inbox.get()) is not None:
            batch = [item]
            try:
                while (item := self._inbox.get_nowait()) is not None:
                    batch.append(item)
            except Empty:
                pass
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany("INSERT INTO rows VALUES (?, ?)", [row for row, _ in batch])
            self._file.execute("COMMIT")
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in batch])


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def floor_rates(seconds: float, durability: str) -> dict[str, float]:
    """Return the rates of the floor."""
    with tempfile.TemporaryDirectory() as folder:
        floor = Floor(str(Path(folder) / "floor.db"), durability.upper())

        async def one(steps: int) -> None:
            run = str(uuid4())
            for what in ("start", *(f"step-{n}" for n in range(steps)), "done"):
                await floor.write(run, what)

        try:
            return await rates(one, seconds)
        finally:
            floor.close()


DBOS = """
import json, sqlite3, statistics, sys, time, uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from dbos import DBOS

path, wal, seconds = Path(sys.argv[1]), sys.argv[2] == "wal", float(sys.argv[3])
DBOS(config={
    "name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "CRITICAL",
    "run_admin_server": False,
})
entered = 0.0

@DBOS.step()
def step():
    global entered
    entered = time.perf_counter()

@DBOS.workflow()
def flow(steps):
    for _ in range(steps):
        step()

if wal:
    opened = sqlite3.connect(path)
    opened.execute("PRAGMA journal_mode = WAL")
    opened.close()
DBOS.launch()

def one(steps):
    DBOS.start_workflow(flow, steps).get_result()

def rate(steps, flight):
    one(steps)
    began = time.perf_counter()
    def keep_going(_):
        done = 0
        while time.perf_counter() - began < seconds:
            one(steps)
            done += 1
        return done
    with ThreadPoolExecutor(flight) as pool:
        return sum(pool.map(keep_going, range(flight))) / (time.perf_counter() - began)

def label(steps, flight):
    return f"{steps} step{'s' if steps > 1 else ''}, {flight} in flight"

found = {label(s, f): rate(s, f) for s in (1, 10) for f in (1, 32)}
took = []
for _ in range(50):
    began = time.perf_counter()
    one(1)
    took.append((entered - began) * 1000)
found["start to first step, ms"] = statistics.median(took)
opened = sqlite3.connect(path)
found["journal"] = opened.execute("PRAGMA journal_mode").fetchone()[0]
print("RESULT " + json.dumps(found), flush=True)
import os; os._exit(0)
"""


def peer_python() -> Path:
    """Return the interpreter of a virtual environment that has DBOS; make it if need be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path(tempfile.gettempdir())) / "kit-bench-dbos"
    python = cache / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache)], check=True)
    if subprocess.run([str(python), "-c", "import dbos"], capture_output=True).returncode:
        install = [str(python), "-m", "pip", "install", "--quiet", "dbos"]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    return python


def peer_rates(seconds: float) -> dict[str, dict[str, Any]]:
    """Return the rates of DBOS on SQLite, as shipped and in WAL mode; or why there are none."""
    try:
        python = peer_python()
    except (OSError, subprocess.SubprocessError) as error:
        return {"DBOS": {"skipped": f"DBOS could not be installed: {error}"}}
    return {f"DBOS, {mode}": dbos_rates(python, mode, seconds) for mode in ("as shipped", "wal")}


def dbos_rates(python: Path, mode: str, seconds: float) -> dict[str, Any]:
    """Return the rates of DBOS in one mode of its file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-c", DBOS, str(Path(folder) / "dbos.db"), mode, str(seconds)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 60 + 120)
    found = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        return {"skipped": (ended.stderr.strip().splitlines() or ["no result"])[-1]}
    results: dict[str, Any] = json.loads(found[-1].removeprefix("RESULT "))
    return results


def one_round(seconds: float) -> dict[str, dict[str, float]]:
    """Return the rates of the floor and of the kit, measured one beside the other."""
    found = {}
    for durability in ("full", "normal"):
        found[f"floor, {durability}"] = asyncio.run(floor_rates(seconds, durability))
        for plain in (False, True):
            name = f"kit, {durability}, {'plain' if plain else 'async'} steps"
            found[name] = asyncio.run(kit_rates(seconds, durability, plain=plain))
    return found


def measure(seconds: float, *, peers: bool) -> dict[str, Any]:
    """Return every figure, by who it is of."""
    rounds = [one_round(seconds / ROUNDS) for _ in range(ROUNDS)]
    found: dict[str, Any] = {
        name: {what: statistics.median(each[name][what] for each in rounds) for what in figures}
        for name, figures in rounds[0].items()
    }
    found[ASYNC][FIRST_STEP] = asyncio.run(kit_first_step())
    found[ASYNC]["resume after kill -9, s"] = kit_resume()
    found[BARE] = {"boot, s": boot()}
    if peers:
        found |= peer_rates(seconds)
    return found


def verdicts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return, for each budget whose peer was measured, whether it is kept."""
    judged = {
        f"{what}: {whose} / {peer}": verdict(found[whose][what] / found[peer][what], bound, limit)
        for what, whose, peer, bound, limit in BUDGETS
        if what in found.get(peer, {})
    }
    over = found[ASYNC]["resume after kill -9, s"] - found[BARE]["boot, s"]
    what = "resume after kill -9 over a bare interpreter, s"
    return judged | {what: verdict(over, "at most", OVER_A_BARE_INTERPRETER)}


def verdict(measured: float, bound: str, limit: float) -> dict[str, Any]:
    """Return whether one budget is kept."""
    is_kept = measured >= limit if bound == "at least" else measured <= limit
    return {"budget": f"{bound} {limit:g}", "measured": round(measured, 3), "ok": is_kept}


def show(found: dict[str, Any], budgets: dict[str, dict[str, Any]]) -> None:
    """Print the figures as a table, and what they say of the budgets."""
    show_rates(found)
    print()
    for name, figures in found.items():
        if "skipped" in figures:
            print(f"{name}: skipped: {figures['skipped']}")
        for what in (FIRST_STEP, "resume after kill -9, s", "boot, s"):
            if what in figures:
                print(f"{name}: {what}: {figures[what]:.3f}")
    print()
    for what, verdict in budgets.items():
        said = "ok    " if verdict["ok"] else "missed"
        print(f"{said} {what}: {verdict['measured']:,} ({verdict['budget']})")


def show_rates(found: dict[str, Any]) -> None:
    """Print who comes to how many runs a second, and the kit's beside the others'."""
    columns = [label(steps, flight) for steps in STEPS for flight in FLIGHTS]
    ran = {name: figures for name, figures in found.items() if columns[0] in figures}
    print("runs a second".ljust(28), *(column.rjust(23) for column in columns))
    for name, figures in ran.items():
        print(name.ljust(28), *(f"{figures[column]:23,.0f}" for column in columns))
    for name, figures in ran.items():
        if not name.startswith("kit"):
            durability = "normal" if name == "floor, normal" else "full"
            mine = found[f"kit, {durability}, async steps"]
            ratios = (f"{mine[column] / figures[column]:22.2f}x" for column in columns)
            print(f"kit / {name}".ljust(28), *ratios)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--peers", action="store_true", help="measure DBOS too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    found = measure(asked.seconds, peers=asked.peers)
    budgets = verdicts(found)
    if asked.json:
        print(json.dumps({"figures": found, "budgets": budgets}, indent=2))
    else:
        show(found, budgets)


if __name__ == "__main__":
    main()
