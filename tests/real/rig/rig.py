"""
The Python side of the rig: the real Async Workloads engine on loopback, for tests.

`with Rig() as rig:` starts `rig.mjs` (its head says what it serves) and ends it, by its own process
id, whatever has happened. Time is put forward with `advance`; nothing is ever waited for by the
clock. Every request has a time limit, so that a rig that hangs fails its test.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self
from urllib.parse import urlsplit

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WORKLOADS = HERE / "workloads"
SCHEDULER = "async-workloads-scheduler"

_START_LIMIT = 120.0
_REQUEST_LIMIT = 200.0
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")


class Rig:
    """
    A site with Async Workloads on it: `url`, `key`, and control over its time and its answers.

    *functions* is a folder of flat `.mjs` files; *process* and *after* say where workloads run and
    what becomes of a process when its response is over; *env* is what functions get to see.
    """

    def __init__(
        self,
        functions: Path = WORKLOADS,
        *,
        process: str = "in-process",
        after: str = "run",
        key: str = "rig-key",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._functions = functions
        self._options = ["--process", process, "--after", after, "--key", key]
        self._env = dict(env or {})
        self.key = key
        self.url = ""
        self.pid = 0
        self._printed_before = 0
        self.functions: list[str] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rig-")))
            self._start()
            stack.callback(self.stop)
            ready = self._ready()
            self._stack = stack.pop_all()
        self.url, self.pid, self.functions = ready["url"], ready["pid"], ready["functions"]
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        command = [_node(), str(HERE / "rig.mjs"), "--functions", str(self._functions)]
        command += self._options
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**inherited, "TMPDIR": str(self._folder), **self._env},
                text=True,
            )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Read to the end, so that a function that prints never fills the pipe."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _ready(self) -> dict[str, Any]:
        try:
            return json.loads(self._lines.get(timeout=_START_LIMIT))
        except (Empty, ValueError):
            msg = f"the rig did not start; it said:\n{self.output()[-4000:]}"
            raise RuntimeError(msg) from None

    def stop(self) -> None:
        """End the rig: its input closes, which it ends at; if it does not, it is killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        self.process.stdout.close()

    @property
    def _output(self) -> Path:
        return self._folder / "output"

    def output(self) -> str:
        """Return what the engine and the functions have printed since all was made empty."""
        return self._output.read_bytes()[self._printed_before :].decode(errors="replace")

    def tick(self, times: int = 1) -> list[dict[str, Any]]:
        """Run the scheduler, and wait until all it started is over; return the requests made."""
        return [entry for _ in range(times) for entry in self._control("POST", "tick")]

    def settle(self, limit: int = 30) -> None:
        """Run the scheduler until it finds nothing to do at this time."""
        for _ in range(limit):
            if [entry["fn"] for entry in self.tick()] == [SCHEDULER]:
                return
        msg = f"there is still something to do after {limit} ticks: {self.events()}"
        raise AssertionError(msg)

    def idle(self) -> None:
        """Wait until nothing is under way."""
        self._control("GET", "idle")

    def advance(self, seconds: float, *, at_once: bool = False) -> None:
        """Put the clock of the engine and of the functions forward, once nothing is under way."""
        if not at_once:  # a failure that is just being stored must not get the later time
            self.idle()
        self._control("POST", "clock", {"advance": round(seconds * 1000)})

    def events(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is stored, by state: `key`, `metadata` and `body` of each."""
        return self._control("GET", "events")

    def blobs(self) -> dict[str, list[dict[str, Any]]]:
        """Return what every store of the site holds, by store."""
        return self._control("GET", "blobs")

    def spoil(self, do: str, **rule: Any) -> None:
        """Spoil requests to Netlify Blobs; `listener.mjs` says what there is to *do*, and how."""
        self._control("POST", "store", {"do": do, **rule})

    def mend(self) -> None:
        """Spoil requests to Netlify Blobs no more."""
        self._control("DELETE", "store")

    def kills(self) -> int:
        """Return how many processes were killed by rules."""
        return int(self._control("GET", "kills")["kills"])

    def store_log(self) -> list[dict[str, Any]]:
        """Return the requests to Netlify Blobs, in order: `op`, `key`, `status` and `bytes`."""
        return self._control("GET", "store")

    def log(self, fn: str | None = None) -> list[dict[str, Any]]:
        """Return the requests made so far, in order; those to one function if *fn* is given."""
        return [each for each in self._control("GET", "log") if fn in (None, each["fn"])]

    def seen(self, what: str | None = "invoked", workload: str | None = None) -> list[Any]:
        """Return what the rig's workloads have reported, in order, once nothing is under way."""
        self.idle()
        return [
            each
            for each in self._control("GET", "seen")
            if what in (None, each["what"]) and workload in (None, each["workload"])
        ]

    def answers(
        self,
        times: int = 1,
        *,
        fn: str = "async-workloads-router",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        delay: float = 0,
        drop: bool = False,
        let_pass: bool = False,
        skip: int = 0,
    ) -> None:
        """
        Have the next requests to *fn* but the first *skip* answered so, *delay* seconds later.

        With *drop* the connection is cut; with *let_pass* the function does its work first.
        """
        wanted = {"times": times, "fn": fn, "status": status, "headers": dict(headers or {})}
        wanted |= {
            "body": body,
            "delay": delay * 1000,
            "drop": drop,
            "pass": let_pass,
            "skip": skip,
        }
        self._control("POST", "answers", wanted)

    def workers(self) -> list[dict[str, Any]]:
        """Return the functions' processes: `name`, `pid`, `address`, `busy`, `frozen`."""
        return self._control("GET", "workers")

    def free(self) -> None:
        """Wait until none of the functions' processes is busy."""
        self._control("GET", "free")

    def reset(self) -> None:
        """Make it as it was at the start: stores and lists empty, no workers, the clock right."""
        self._control("POST", "reset")
        self._printed_before = self._output.stat().st_size

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:
        """
        Make a request to the site, with *key* and *headers* if given.

        Returns status, headers and text.
        """
        address = urlsplit(self.url)
        assert address.hostname is not None
        connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=_REQUEST_LIMIT
        )
        try:
            given = {} if key is None else {"authorization": f"Bearer {key}"}
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {**given, **(headers or {})})
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, text
        finally:
            connection.close()

    def _control(self, method: str, command: str, body: Any = None) -> Any:
        status, _, text = self.ask(method, f"/rig/{command}", body)
        if status != 200:
            msg = f"the rig refused {command!r} ({status}): {text}\n{self.output()[-4000:]}"
            raise RuntimeError(msg)
        return json.loads(text)


def link_packages(folder: Path) -> None:
    """Let functions in *folder* import the installed packages, as on a site that has them."""
    (folder / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)


def _node() -> str:
    """Return the path of Node; a missing one fails, since these tests are not optional."""
    node = shutil.which("node")
    if node is None:
        msg = "Node 20 or later is needed to test against the real engine; there is no `node`"
        raise RuntimeError(msg)
    if not (ROOT / "node_modules" / "@netlify" / "async-workloads").is_dir():
        msg = "the engine is not installed: run `npm ci` in the project's folder, or `make test`"
        raise RuntimeError(msg)
    return node
