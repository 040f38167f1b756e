"""A deployed function: started, called, and ended by its own process id."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import tempfile
import termios
import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .event import ORIGIN, make_event
from .jail import Jail
from .processes import children_of, cpu_of, memory_of
from .runtime_api import Connection, Headers, Invocation, RuntimeApi

_START_LIMIT = 120.0
_PLATFORM = {
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_REGION": "us-east-2",
    "LANG": "en_US.UTF-8",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/task:/opt/lib",
    "NODE_PATH": "/opt/nodejs/node_modules:/var/runtime/node_modules:/var/task",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "TZ": ":UTC",
    "SITE_ID": "site",
    "SITE_NAME": "site",
    "URL": ORIGIN,
}
_OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "host")


@dataclass(frozen=True)
class Answer:
    """
    What came of an invocation.

    `took` is how long the function had it, in ms, measured in its process; `up` how old the process
    was then. `chunks` are the pieces of the body with the moments they came. An invocation that
    failed has the platform's 502, and says why in `error`.
    """

    status: int
    headers: dict[str, list[str]]
    chunks: list[tuple[float, bytes]]
    error: dict[str, Any] | None
    took: float = 0
    up: float = 0

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(data for _, data in self.chunks)

    def json(self) -> Any:
        """Return the body as the JSON it is."""
        return json.loads(self.body)


class Booted:
    """
    A function in its sandbox: `with Booted(task, jail) as function: function.invoke(…)`.

    *task* is the folder of an unpacked zip; *env* what the site has set; *freeze* stops the process
    between invocations, as the platform does. `url` is an address that hands on requests; their
    header `x-boot-blobs` has the context of Netlify Blobs, `x-boot-url` the site's own address.
    """

    def __init__(
        self, task: Path, jail: Jail, *, env: Mapping[str, str] | None = None, freeze: bool = False
    ) -> None:
        self.task = task
        self.pid = 0
        self.cold_ms = 0.0
        self._jail = jail
        self._env = dict(env or {})
        self._freezes = freeze
        self._reading = threading.Lock()
        self._turn = threading.Lock()  # a sandbox has one invocation at a time

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._output = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "output"
            self._api = RuntimeApi(self._hand_on)
            self.url = f"http://{self._api.address}"
            stack.callback(self._api.close)
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        env = {
            **_PLATFORM,
            **self._env,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "LAMBDA_TASK_ROOT": self._jail.task_root(self.task),
            "_HANDLER": "___netlify-entry-point.handler",
        }
        output = stack.enter_context(self._output.open("wb", buffering=0))
        self._process = subprocess.Popen(
            self._jail.command(self.task),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            bufsize=0,  # nothing between the pipe and `log`
            start_new_session=True,
        )
        self.pid = self._process.pid
        stack.callback(self._stop)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"prepared\n":
            msg = f"the sandbox could not be made: {self.log}"
            raise RuntimeError(msg)
        self._reader = threading.Thread(target=self._read, args=(output,))
        self._reader.start()
        self._process.stdin.write(b"go\n")
        self._process.stdin.close()
        if not self._api.wait_until_idle(_START_LIMIT) or self._api.ended:
            msg = f"the function did not start: {self._api.init_error}\n{self.log}"
            raise RuntimeError(msg)

    def _read(self, output: Any) -> None:
        """Read what the function prints, to its end, which is the end of all its processes."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        printed = b"more"
        while printed:
            select.select([pipe], [], [])
            with self._reading:
                printed = os.read(pipe, 1 << 16)
                output.write(printed)
        status = self._process.wait()
        self._api.gone(f"the process ended with {status}")

    def _stop(self) -> None:
        """End the function as the platform does, without a word; its group is all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if hasattr(self, "_reader"):
            self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def log(self) -> str:
        """What the function has printed, to the last byte that is in the pipe."""
        while True:
            with self._reading:
                if self._process.stdout is None or self._process.stdout.closed:
                    break
                waiting = array("i", [0])
                fcntl.ioctl(self._process.stdout, termios.FIONREAD, waiting)
                if not waiting[0]:
                    break
            time.sleep(0.001)
        return self._output.read_text(errors="replace")

    def invoke(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        blobs: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Answer:
        """
        Invoke the function with a request and wait for all of the answer.

        *path* may be a whole address; *blobs* is a context of Netlify Blobs, as functions get it.
        """
        with self._turn:
            invocation = self._submit(method, path, dict(headers or {}), body, blobs, seconds)
            return self._answer(invocation, list(invocation.pieces()))

    def _submit(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        blobs: Mapping[str, str] | None,
        seconds: float,
    ) -> Invocation:
        if self._freezes:
            os.killpg(self.pid, signal.SIGCONT)
        event = make_event(method, path, headers, body, blobs)
        return self._api.submit(event, seconds)

    def _answer(self, invocation: Invocation, chunks: list[tuple[float, bytes]]) -> Answer:
        if not self._api.wait_until_idle(invocation.seconds):
            msg = f"the function does not come to an end:\n{self.log}"
            raise RuntimeError(msg)
        if self._freezes:
            os.killpg(self.pid, signal.SIGSTOP)
        last = self._api.last
        if not self.cold_ms:
            self.cold_ms = last.get("up", 0)
        status = 502 if invocation.error else invocation.head["statusCode"]
        headers = invocation.head.get("multiValueHeaders", {})
        timings = {name: last.get(name, 0) for name in ("took", "up")}
        return Answer(status, headers, chunks, invocation.error, **timings)

    def _hand_on(
        self, connection: Connection, method: str, path: str, headers: Headers, body: bytes
    ) -> None:
        """Make a request to `url` an invocation, and stream its answer."""
        given = headers.pop("x-boot-blobs", "")
        blobs = json.loads(base64.b64decode(given)) if given else None
        address = headers.pop("x-boot-url", ORIGIN + path)
        kept = {name: value for name, value in headers.items() if name not in _OF_ONE_CONNECTION}
        with self._turn:
            invocation = self._submit(method, address, kept, body, blobs, 60)
            pieces = invocation.pieces()
            first = next(pieces, None)
            if first is None:
                connection.write_head(502, {"content-length": 0})
                connection.wfile.flush()
            else:
                _stream(connection, invocation, pieces)
            self._answer(invocation, [])

    def children(self) -> list[int]:
        """Return the processes the function has started and not ended."""
        return children_of(self.pid)

    def memory(self) -> int:
        """Return how many bytes of memory the function's processes have."""
        return sum(memory_of(pid) for pid in (self.pid, *self.children()))

    def cpu_ms(self) -> float:
        """Return how long the function's processes have had a processor, in ms."""
        return sum(cpu_of(pid) for pid in (self.pid, *self.children())) / 1e6

    def descriptors(self) -> int:
        """Return how many files and sockets the function's processes have open."""
        return sum(
            len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (self.pid, *self.children())
        )


def _stream(
    connection: Connection, invocation: Invocation, pieces: Iterator[tuple[float, bytes]]
) -> None:
    headers = {
        name: values
        for name, values in invocation.head.get("multiValueHeaders", {}).items()
        if name.lower() not in _OF_ONE_CONNECTION
    }
    gone = False

    def write(data: bytes) -> None:
        nonlocal gone
        try:
            connection.wfile.write(data)
            connection.wfile.flush()
        except OSError:
            gone = True  # the platform reads on all the same

    connection.write_head(
        invocation.head["statusCode"], {**headers, "transfer-encoding": "chunked"}
    )
    write(b"")
    for _, data in pieces:
        if data and not gone:
            write(b"%x\r\n%s\r\n" % (len(data), data))
    if invocation.error:
        raise ConnectionError  # broken off
    if not gone:
        write(b"0\r\n\r\n")
