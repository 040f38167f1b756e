"""A project on disk whose `kit` is a process, to be killed, interrupted and started again."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kit.model.delivery import CheckpointKind
from kit.model.run import Run
from kit.store.sqlite.reader import Reader

HEAD = """
import asyncio, os, random
from pathlib import Path
from kit.client.definition import define_workflow

def note(line):
    with open("log", "a") as log:
        log.write(line + "\\n")

"""
PATIENCE = 200.0
"""Seconds until a test gives up waiting for what ought to take milliseconds."""
ECHO = "@define_workflow\ndef echo(input): return len(input)\n"


class Project:
    """A project on disk, and the command in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        self.started: list[subprocess.Popen[str]] = []
        (root / ".git").mkdir()
        (root / "functions/workflows").mkdir(parents=True)

    def workflow(self, name: str, text: str) -> None:
        (self.root / f"functions/workflows/{name}.py").write_text(HEAD + text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath},
        )
        self.started.append(process)
        return process

    def kit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start("-m", "kit.cli", *arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def killed(self, until: Callable[[], object], *arguments: str) -> None:
        """Start `kit`, and kill it once *until* says so."""
        process = self.start("-m", "kit.cli", *arguments)
        wait_for(until, process)
        kill(process)

    def checkpoints(self) -> int:
        """Return how many steps and sleeps are on disk: quickly, while others write."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            try:
                return connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
            except sqlite3.OperationalError:  # not made yet
                return 0

    def log(self) -> list[str]:
        file = self.root / "log"
        return file.read_text().splitlines() if file.exists() else []

    def run(self) -> Run:
        with contextlib.closing(Reader(self.path)) as reader:
            (run,) = reader.runs()
        return run

    def is_sound(self) -> bool:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def wait_for(until: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        if process.poll() is not None or time.monotonic() > deadline:
            kill(process)
            raise AssertionError(f"it did not come to that: {process.communicate()}")
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def finished_steps(path: Path) -> list[str]:
    with contextlib.closing(Reader(path)) as reader:
        return [
            f"{run.id} {step_id}"
            for run in reader.runs()
            for step_id, checkpoint in reader.checkpoints(run.id).items()
            if checkpoint.kind is CheckpointKind.STEP
        ]
