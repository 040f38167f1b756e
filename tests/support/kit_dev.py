"""`kit dev` as one starts it: a process that answers at a port of its own, until it is ended."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
LIMIT = 120.0
"""Seconds until something is given up; what takes how long is measured in benchmarks/dev.py."""

RUNS = "/.netlify/functions/kit-runs"


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Its text, read as JSON."""
        return json.loads(self.text)


class KitDev:
    """
    `kit dev` in the project at *root*, as a context manager; *given* are more of its arguments.

    `ready` is the line of JSON it prints, `url` its origin. *environ* is all it gets to see, but
    for what finds Python and the kit.
    """

    def __init__(
        self, root: Path, *given: str, environ: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.root = root
        self._command = [sys.executable, "-m", "kit.cli", "dev", "--json", "--port", str(port)]
        self._command += given
        found = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
        self._environ = {**found, **(environ or {})}

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()  # not a pipe, which nobody would empty
        self.process = subprocess.Popen(
            self._command,
            cwd=self.root,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            self.ready: dict[str, Any] = json.loads(self.line())
        except ValueError:
            said = self.said
            self.__exit__()
            msg = f"kit dev did not start: {said}"
            raise AssertionError(msg) from None
        self.url = str(self.ready["url"])
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._said.close()

    def line(self) -> str:
        """Return the next line it prints; nothing if there is none in time."""
        out = self.process.stdout
        assert out is not None
        found, _, _ = select.select([out], [], [], LIMIT)
        return out.readline() if found else ""

    @property
    def said(self) -> str:
        """What it has told whoever works here, so far."""
        # read in place: to seek would move where the process writes
        return os.pread(self._said.fileno(), 10_000_000, 0).decode(errors="replace")

    @property
    def processor_seconds(self) -> float:
        """How long it has computed so far, which a busy machine changes little; 0 if unknown."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # not Linux
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def key(self) -> str | None:
        """The key it wants, if it wants one."""
        return self._environ.get("WORKFLOW_API_KEY")

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience: float = LIMIT,
        with_key: bool = True,
    ) -> Answer:
        """Ask something, with the key if there is one, on a connection of its own."""
        known = {"authorization": f"Bearer {self.key}"} if with_key and self.key else {}
        address = self.url.removeprefix("http://")
        with closing(http.client.HTTPConnection(address, timeout=patience)) as connection:
            connection.request(method, path, body, {**known, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())

    def run(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        found: dict[str, Any] = self.ask("GET", f"{RUNS}/{run_id}").json
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Return a run that has come to its end."""
        return self.when(run_id, lambda run: run.get("endedAt"))

    def when(self, run_id: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Return a run once *holds* is true of it."""
        found: dict[str, Any] = until(lambda: _if(self.run(run_id), holds))
        return found

    def press(self, number: int = signal.SIGINT) -> None:
        """Send a signal: Ctrl-C, if nothing else is said."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGINT) -> str:
        """Send a signal, wait until it is over, and return all it has said."""
        self.press(number)
        self.process.wait(LIMIT)
        return self.said

    def computed_to_the_end(self) -> float:
        """Press Ctrl-C, and return how many seconds it still has computed after that."""
        before = self.processor_seconds
        self.press()
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_utime + used.ru_stime - before


def _if(value: Any, condition: Callable[[Any], Any]) -> Any:
    return value if condition(value) else None


def until(condition: Callable[[], Any], seconds: float = LIMIT) -> Any:
    """Return what *condition* comes to, once that is something."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    msg = "it has not come to that in time"
    raise AssertionError(msg)
