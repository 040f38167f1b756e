"""A project that many processes share, and a web server of it as users have them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.reader import Reader, RunRequest

PATIENCE = 100.0

WORKFLOWS = {
    "walk": """
import asyncio, os
from kit import define_workflow

def note(name):
    fd = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{os.getpid()} {name}\\n".encode())
    os.close(fd)
    return os.getpid()

@define_workflow
async def walk(input, context):
    await context.step.run("first", note, f"{input} first")
    await context.step.sleep("nap", 0.05)
    return await context.step.run("last", note, f"{input} last")
""",
    "long": """
import time
from pathlib import Path
from kit import define_workflow

def may_end(input):
    time.sleep(0.05)
    return Path(f"go-{input}").exists()

@define_workflow
def long(input, context):
    context.step.run("begin", Path(f"begun-{input}").touch)
    for number in range(1000):
        if context.step.run(f"wait-{number}", may_end, input):
            return input
""",
}


class Server:
    """A project, and a server of it on some port."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        self.port = 0
        (root / ".git").mkdir()
        folder = root / "functions/workflows"
        folder.mkdir(parents=True)
        for name, text in WORKFLOWS.items():
            (folder / f"{name}.py").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root)}

    def popen(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def serving(self, app: str, *command: str) -> Iterator[None]:
        (self.root / "app.py").write_text(app)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        process = self.popen(*(part.format(port=self.port) for part in command))
        try:
            self.wait_until_up(process)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                said, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
                pytest.fail(f"the server did not end: {said}")
            sys.stdout.write(said)  # shown if the test fails
        assert "StoreInUseError" not in said
        assert "Traceback" not in said, said

    def wait_until_up(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("/")
                return
            time.sleep(0.05)
        process.kill()
        pytest.fail(f"the server does not answer: {process.communicate()[0]}")

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=110) as said:
            return json.load(said)

    def ask_until_answered(self, path: str) -> Any:
        """Ask again where the worker that should answer dies meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.ask(path)
            except (OSError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def log(self) -> list[tuple[int, str]]:
        lines = (self.root / "log").read_text().splitlines()
        return [(int(pid), name) for pid, name in (line.split(" ", 1) for line in lines)]

    def is_begun(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self.root / f"begun-{name}").exists():
            assert time.monotonic() < deadline, "it has not begun"
            time.sleep(0.02)

    def are_up(self, count: int) -> None:
        """
        Wait until so many workers have started, and what they have asked for is answered.

        One asks for all that is left to do; if it is ended before it is heard, that stays behind
        for the next driver, which needs none of it.
        """
        deadline = time.monotonic() + PATIENCE
        while len(list(self.root.glob("up-*"))) < count or self.requests():
            assert time.monotonic() < deadline, "not all have started"
            time.sleep(0.02)

    def requests(self) -> list[RunRequest]:
        if not self.path.exists():
            return []
        with contextlib.closing(Reader(self.path)) as reader:
            return reader.requests()

    def is_in_order(self) -> None:
        with contextlib.closing(Reader(self.path)) as reader:
            assert {run.status for run in reader.runs()} == {RunStatus.COMPLETED}
            assert reader.requests() == []
