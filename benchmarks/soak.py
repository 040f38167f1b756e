"""
Kill processes that share a run file, again and again, and see that no promise is broken.

    python benchmarks/soak.py [--kills 2000] [--seed 1] [--processes 2]

Each process resumes the file, starts runs with steps, branches, sleeps, sends, failures and
retries, stops some, and notes what has been acknowledged. `kill -9` ends one of them at a random
moment, and another takes its place. In the end every accepted run has ended, every
acknowledged stop has stopped, no step ran again after its checkpoint was seen on disk, and SQLite
finds the file in order.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kit.model.delivery import CheckpointKind
from kit.model.run import RunStatus
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

@define_workflow(max_retries=2, backoff=["50 ms"])
async def mixed(input, context):
    at = f"{context.event_id} "
    run = context.step.run
    await run("a", step, at + "a")
    await asyncio.gather(*(run(each, step, at + each) for each in ("b", "c")))
    await context.step.sleep("nap", random.uniform(0.001, 0.1))
    await context.send_event("child", input)
    if input % 3 == 0:
        await run("d", fails, at + "d", context.attempt)
    await run("e", step, at + "e")
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
life = os.getpid() * 10000
while True:
    life += 1
    run = kit.run_workflow("mixed", life)
    note("accepted", run.id)
    if random.random() < 0.5:
        stays = kit.run_workflow("stays", life)
        note("accepted", stays.id)
        if random.random() < 0.5:
            time.sleep(random.uniform(0, 0.05))
        if stays.stop():
            note("stopped", stays.id)
    if random.random() < 0.3:
        run.result(60)
    time.sleep(random.uniform(0, 0.05))
"""

LAST = """
import kit.sync as kit
kit.resume()
for line in open("accepted"):
    run = kit.get_workflow_run(line.strip())
    if run.name == "mixed":
        run.result(120)
    elif str(run.status()) not in ("cancelled",):
        run.stop()
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

    def start(self, program: str = PROCESS) -> subprocess.Popen[str]:
        """Start a process."""
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=self.root,
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
        sql += " WHERE workflow = 'mixed' AND kind = ? AND json_type(text, '$.error') IS NULL"
        with contextlib.closing(sqlite3.connect(self.path)) as sqlite:
            return [row[0] for row in sqlite.execute(sql, (CheckpointKind.STEP,))]

    def finish(self) -> dict[str, int]:
        """Let what is left come to its end, and see what came of it all."""
        for process in self.processes:
            end(process)
        self.processes.clear()
        last = self.start(LAST)
        said = last.communicate(timeout=600)
        assert said == ("ended\n", ""), said
        self.check_steps()
        with contextlib.closing(Reader(self.path)) as reader:
            runs = {run.id: run for run in reader.runs(limit=10**9)}
        accepted, stopped = self.lines("accepted"), self.lines("stopped")
        for run_id in accepted:
            run = runs[run_id]
            assert run.status.is_final, run
            if run.workflow == "mixed":
                assert run.status is RunStatus.COMPLETED, run
        for run_id in stopped:
            assert runs[run_id].status is RunStatus.CANCELLED, runs[run_id]
        children = Counter(run.data for run in runs.values() if run.workflow == "child")
        sent = {run.data for run in runs.values() if run.workflow == "mixed" and run.result}
        assert set(children.values()) <= {1}, "an event was sent twice"
        assert sent <= set(children), "an event was lost"
        with contextlib.closing(sqlite3.connect(self.path)) as sqlite:
            assert sqlite.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert sqlite.execute("SELECT count(*) FROM requests").fetchone() == (0,)
        return {
            "accepted": len(accepted),
            "stopped": len(stopped),
            "steps": len(self.stored),
            "repeated unfinished steps": sum(Counter(self.lines("steps")).values())
            - len(set(self.lines("steps"))),
        }


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
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), asked.kills, asked.processes)
    told = ", ".join(f"{count:,} {what}" for what, count in found.items())
    print(f"{asked.kills:,} kills in {time.monotonic() - began:.0f} s: {told}; all in order")


if __name__ == "__main__":
    main()
