"""
Kill processes that share a run file, again and again, and see that no promise is broken.

    python benchmarks/soak.py [--kills 2000] [--seed 1] [--processes 2]

Each process resumes the file, starts runs with steps, branches, sleeps, sends, failures and
retries, stops some, and notes what has been acknowledged; or it tries dead letters again by hand,
and deletes what was stopped. Some rehearse Netlify, where each step ends an invocation. `kill -9`
ends one of them at a random moment, and another takes its place. `report` says what was checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kit.model.delivery import CheckpointKind
from kit.model.run import Run, RunStatus
from kit.store.sqlite.reader import Reader

WORKFLOWS = {
    "mixed": """
import asyncio, os, random
from kit import define_workflow

def note(line):
    fd = os.open("steps", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\\n".encode())
    os.close(fd)

async def step(name):
    note(name)
    await asyncio.sleep(random.uniform(0, 0.02))
    return name

async def fails(name, attempt):
    if attempt < 1:
        raise LookupError(name)
    return await step(name)

async def branch(context, at):
    await context.step.sleep("doze", random.uniform(0.001, 0.05))
    await context.step.run("c", step, at + "c")

@define_workflow(max_retries=2, backoff=["50 ms"])
async def mixed(input, context):
    at = f"{context.event_id} "
    run = context.step.run
    await run("a", step, at + "a")
    await asyncio.gather(run("b", step, at + "b"), branch(context, at))
    await context.step.sleep("nap", random.uniform(0.001, 0.1))
    await context.send_event("child", input)
    if input % 3 == 0:
        await run("d", fails, at + "d", context.attempt)
    await run("e", step, at + "e")
    return input
""",
    "fragile": """
import os
from kit import define_workflow

def note(line):
    fd = os.open("steps", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\\n".encode())
    os.close(fd)

def first(name):
    note(name)
    return name

def breaks(name):
    if not os.path.exists(name):
        open(name, "x").close()
        raise LookupError(name)
    note(name.replace("-", " ", 1))

@define_workflow(max_retries=0)
def fragile(input, context):
    context.step.run("a", first, f"{context.event_id} a")
    context.step.run("b", breaks, f"broken-{context.event_id}-b")
    return input
""",
    "child": """
from kit import define_workflow

@define_workflow
async def child(input, context):
    await context.step.run("a", str, input)
    return input
""",
    "stays": """
from kit import define_workflow

@define_workflow
async def stays(input, context):
    await context.step.run("a", str, input)
    await context.step.sleep("nap", "1 hour")
    await context.step.run("never", str, input)
""",
}

PROCESS = """
import os, random, sys, time
import kit.sync as kit

def note(file, line):
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\\n".encode())
    os.close(fd)

kit.resume()
print("ready", flush=True)
while True:
    life = random.getrandbits(52)  # not made of the process id, which comes again in an hour
    run = kit.run_workflow("mixed", life)
    note("accepted", run.id)
    if random.random() < 0.5:
        stays = kit.run_workflow("stays", life)
        note("accepted", stays.id)
        if random.random() < 0.5:
            time.sleep(random.uniform(0, 0.05))
        if stays.stop():
            note("stopped", stays.id)
    if random.random() < 0.2:
        note("accepted", kit.run_workflow("fragile", life).id)
    if random.random() < 0.3:
        run.result(60)
    time.sleep(random.uniform(0, 0.05))
"""

RETRIER = """
import asyncio, os, random, sys
from kit.engine.engine import Engine
from kit.model.run import RunStatus
from kit.project.catalog import Catalog
from kit.project.config import load
from kit.store.sqlite.direct import delete
from kit.store.sqlite.reader import Reader

def note(file, line):
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\\n".encode())
    os.close(fd)

async def main(has_time):
    config = load()
    reader = Reader(config.path)
    async with Engine(config.path, Catalog.of(config).find, resume=()) as engine:
        print("ready", flush=True)
        while True:
            dead = reader.runs(statuses=[RunStatus.FAILED], limit=20 if has_time else 10**9)
            for run in dead:
                await engine.retry(run.id)
                note("retried", run.id)
                if random.random() < 0.5 or not has_time:
                    await engine.wait(run.id)
            if not has_time:
                return
            stopped = open("stopped").readlines() if os.path.exists("stopped") else ()
            for run_id in stopped and random.sample(stopped, 1):
                if delete(config.path, run_id.strip()):
                    note("deleted", run_id.strip())
            await asyncio.sleep(random.uniform(0, 0.1))

asyncio.run(main("last" not in sys.argv))
print("ended")
"""

PROGRAMS = (PROCESS, PROCESS, PROCESS, RETRIER)

LAST = """
import kit.sync as kit
from kit import RunFailed

kit.resume()
for line in open("accepted"):
    run = kit.get_workflow_run(line.strip())
    if run is None:
        continue
    if run.name == "mixed":
        run.result(120)
    elif run.name == "stays" and str(run.status()) not in ("cancelled",):
        run.stop()
    elif run.name == "fragile":
        try:
            run.result(120)
        except RunFailed:
            pass
print("ended")
"""


class Soak:
    """A project whose processes are killed."""

    def __init__(self, root: Path, processes: int) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        (root / ".git").mkdir()
        folder = root / "functions/workflows"
        folder.mkdir(parents=True)
        for name, text in WORKFLOWS.items():
            (folder / f"{name}.py").write_text(text)
        self.stored: dict[str, int] = {}
        self.processes = [self.start() for _ in range(processes)]

    def start(self, program: str = "", *arguments: str) -> subprocess.Popen[str]:
        """Start a process: that program, or one of those that are killed."""
        replay = random.choice(("pauses", "pauses", "always"))
        return subprocess.Popen(
            [sys.executable, "-c", program or random.choice(PROGRAMS), *arguments],
            cwd=self.root,
            env={**os.environ, "WORKFLOW_REPLAY": replay},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, name: str) -> list[str]:
        """Return what the processes have noted in a file."""
        file = self.root / name
        return file.read_text().splitlines() if file.exists() else []

    def kill_one(self, longest: float) -> None:
        """Kill a process, at a moment when it has begun or not, and start another."""
        process = self.processes.pop(0)
        assert process.stdout is not None
        if random.random() < 0.9:
            assert process.stdout.readline() == "ready\n", process.communicate()
            time.sleep(random.uniform(0, longest))
        else:
            time.sleep(random.uniform(0, 0.3))
        if process.poll() is not None:
            raise AssertionError(f"it ended by itself: {process.communicate()}")
        end(process)
        self.processes.append(self.start())

    def check_steps(self) -> None:
        """No step may run after its checkpoint has been seen."""
        finished = list(self.finished_steps())
        ran = Counter(self.lines("steps"))
        for step in finished:
            before = self.stored.setdefault(step, ran[step])
            assert ran[step] == before, f"{step} ran again after it had finished"

    def finished_steps(self) -> list[str]:
        """Return the steps that have a checkpoint on disk."""
        sql = "SELECT run_id || ' ' || step_id FROM checkpoints JOIN runs ON id = run_id"
        sql += " WHERE workflow IN ('mixed', 'fragile') AND kind = ?"
        sql += " AND json_type(text, '$.error') IS NULL"
        with contextlib.closing(sqlite3.connect(self.path)) as sqlite:
            return [row[0] for row in sqlite.execute(sql, (CheckpointKind.STEP,))]

    def finish(self) -> dict[str, int]:
        """Let what is left come to its end, and see what came of it all."""
        for process in self.processes:
            end(process)
        self.processes.clear()
        for program, *arguments in ((LAST,), (RETRIER, "last")):
            last = self.start(program, *arguments)
            said, wrong = last.communicate(timeout=1800)
            assert said.endswith("ended\n"), (said, wrong)
            assert not wrong, wrong
        self.check_steps()
        with contextlib.closing(Reader(self.path)) as reader:
            runs = {run.id: run for run in reader.runs(limit=10**9)}
        self.check_runs(runs)
        self.check_events(runs)
        self.check_file()
        return self.counts(runs)

    def check_runs(self, runs: dict[str, Run]) -> None:
        """Every accepted run has ended as it should, every stop has stopped; deleted is deleted."""
        deleted, stopped = set(self.lines("deleted")), set(self.lines("stopped"))
        accepted = self.lines("accepted")
        assert not set(accepted) - runs.keys() - stopped, "an accepted run is gone"
        assert not deleted & runs.keys(), "a deleted run is still there"
        for run in (runs[run_id] for run_id in accepted if run_id in runs):
            ends = RunStatus.CANCELLED if run.workflow == "stays" else RunStatus.COMPLETED
            assert run.status is ends, run
        for run_id in stopped & runs.keys():
            assert runs[run_id].status is RunStatus.CANCELLED, runs[run_id]

    def check_events(self, runs: dict[str, Run]) -> None:
        """Every event of a run that completed has arrived, and none twice."""
        children = Counter(run.data for run in runs.values() if run.workflow == "child")
        sent = {run.data for run in runs.values() if run.workflow == "mixed" and run.result}
        twice = {data: count for data, count in children.items() if count > 1}
        assert not twice, f"events were sent twice: {twice}"
        assert sent <= set(children), f"events were lost: {sent - set(children)}"

    def check_file(self) -> None:
        """SQLite finds the file in order, and nothing of a deleted run or an answered request."""
        with contextlib.closing(sqlite3.connect(self.path)) as sqlite:
            assert sqlite.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert sqlite.execute("SELECT count(*) FROM requests").fetchone() == (0,)
            for table in ("checkpoints", "attempts"):
                sql = f"SELECT count(*) FROM {table} WHERE run_id NOT IN (SELECT id FROM runs)"
                assert sqlite.execute(sql).fetchone() == (0,), f"{table} of no run"

    def counts(self, runs: dict[str, Run]) -> dict[str, int]:
        """Return how much there was of everything that was checked."""
        ran = Counter(self.lines("steps"))
        return {
            "accepted": len(self.lines("accepted")),
            "stopped": len(self.lines("stopped")),
            "retried": len(self.lines("retried")),
            "deleted": len(self.lines("deleted")),
            "children": sum(run.workflow == "child" for run in runs.values()),
            "steps": len(self.stored),
            "begun": sum(ran.values()),
            "repeated": sum(ran.values()) - len(ran),
        }


def report(found: dict[str, int], kills: int, seconds: float, seed: int | None) -> str:
    """Return what was checked, and how much there was of it."""
    return f"""{kills:,} processes killed in {seconds:.0f} s, seed {seed}. All of this held:
  {found["accepted"]:,} runs were accepted: each has ended, completed unless it was stopped
  {found["stopped"]:,} stops were acknowledged: each has stopped its run
  {found["retried"]:,} retries by hand of dead letters were acknowledged: each has completed
  {found["deleted"]:,} deletions were acknowledged: nothing is left of these runs
  {found["steps"]:,} steps had a checkpoint on disk: none has run again
    (of {found["begun"]:,} begun, {found["repeated"]:,} again, for a kill before the checkpoint)
  {found["children"]:,} runs were started by events of runs: none twice, none missing
  no request is left over, and SQLite finds the file in order"""


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that is held for it."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.communicate()


def soak(root: Path, kills: int, processes: int = 2, *, longest: float = 0.5) -> dict[str, int]:
    """
    Kill as often as that, and return what was counted.

    Raises:
        AssertionError: If a promise was broken.
    """
    it = Soak(root, processes)
    try:
        for number in range(1, kills + 1):
            it.kill_one(longest)
            if number % 10 == 0:
                it.check_steps()
            if number % 100 == 0:
                print(f"{number} kills, {len(it.lines('accepted'))} runs", flush=True)
        return it.finish()
    finally:
        for process in it.processes:
            end(process)


def main() -> None:
    """Soak, and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    random.seed(asked.seed)
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="kit-soak-")  # which stays, if a promise was broken
    found = soak(Path(folder), asked.kills, asked.processes)
    shutil.rmtree(folder)
    print(report(found, asked.kills, time.monotonic() - began, asked.seed))


if __name__ == "__main__":
    main()
