"""
Lambda's Runtime API on loopback, for one process that takes one invocation after the other.

Spoken by hand over plain sockets: an invocation costs a fraction of a millisecond here, so that
what is measured is the function.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

_VERSION = "/2018-06-01/runtime/"
_END_OF_PRELUDE = b"\0" * 8
Headers = dict[str, str]


@dataclass
class Invocation:
    """
    An event on its way through the function.

    Its `head` is there after the first item of `pieces`, which yields the body as it comes;
    `error` is there after the last.
    """

    id: str
    event: dict[str, Any]
    seconds: float
    head: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    _queue: Queue[tuple[float, bytes] | None] = field(default_factory=Queue)

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """Yield `(moment, bytes)` until the response is over; the first is empty."""
        while True:
            piece = self._queue.get(timeout=self.seconds)
            if piece is None:
                return
            yield piece

    def begin(self, head: dict[str, Any]) -> None:
        """Note the response's head."""
        self.head = head
        self.add(b"")

    def add(self, data: bytes) -> None:
        """Add to the response's body."""
        self._queue.put((time.monotonic(), data))

    def end(self, error: dict[str, Any] | None = None) -> None:
        """End the response, or break it off."""
        self.error = error
        self._queue.put(None)


class RuntimeApi:
    """
    The server: `submit` gives the function an event, `wait_until_idle` waits for it to want more.

    What is asked of it besides, on any other path, goes to *front*.
    """

    def __init__(self, front: Callable[[Connection, str, str, Headers, bytes], None]) -> None:
        self.front = front
        self.waiting: Queue[Invocation | None] = Queue()
        self.current: Invocation | None = None
        self.last: dict[str, float] = {}
        self.init_error: dict[str, Any] | None = None
        self.ended: str = ""  # how the process has
        self._idle = threading.Event()
        self._count = 0
        self._server = _Server(("127.0.0.1", 0), Connection)
        self._server.api = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def submit(self, event: dict[str, Any], seconds: float) -> Invocation:
        """Give the function *event*, which has so long."""
        self._count += 1
        invocation = Invocation(f"00000000-0000-4000-8000-{self._count:012}", event, seconds)
        self.current = invocation
        self._idle.clear()
        self.waiting.put(invocation)
        if self.ended:
            self.gone(self.ended)
        return invocation

    def next(self, last: dict[str, float]) -> Invocation | None:
        """Wait for the next invocation; None when there is none any more."""
        self.last = last
        self._idle.set()
        return self.waiting.get()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until the function asks for work, as a platform does before it freezes it."""
        return self._idle.wait(seconds)

    def gone(self, how: str) -> None:
        """The process has ended: what it was doing has failed."""
        self.ended = how
        self._idle.set()
        if self.current is not None:
            self.current.end({"errorType": "Runtime.ExitError", "errorMessage": how})

    def close(self) -> None:
        """End the server, and whoever waits for work."""
        self.waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    api: RuntimeApi


class Connection(socketserver.StreamRequestHandler):
    """One kept-alive connection."""

    disable_nagle_algorithm = True
    wbufsize = 65536

    def handle(self) -> None:
        """Answer requests until the other side has had enough."""
        with contextlib.suppress(OSError, ValueError):
            while line := self.rfile.readline():
                method, path, _ = line.decode("latin-1").split()
                self._serve(method, path, self.read_headers())

    def read_headers(self) -> Headers:
        """Read headers, or trailers, up to the empty line."""
        headers: Headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def write_head(self, status: int, headers: dict[str, Any]) -> None:
        """Write the head of a response; a list is a header of many values."""
        lines = [f"HTTP/1.1 {status} -"]
        for name, values in headers.items():
            lines += [
                f"{name}: {each}" for each in (values if isinstance(values, list) else [values])
            ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _serve(self, method: str, path: str, headers: Headers) -> None:
        api: RuntimeApi = self.server.api  # type: ignore[attr-defined]
        if not path.startswith(_VERSION):
            body = self.rfile.read(int(headers.get("content-length", 0)))
            if headers.get("transfer-encoding") == "chunked":
                body = b"".join(self._chunks({}))
            api.front(self, method, path, headers, body)
            return
        match path.removeprefix(_VERSION).split("/"):
            case ["invocation", "next"]:
                self._next(api, headers)
            case ["invocation", _, "response"]:
                self._response(api.current)
            case ["invocation", _, "error"]:
                self._error(headers, api.current)
            case ["init", "error"]:
                api.init_error = self._json(headers)
                self._taken()

    def _next(self, api: RuntimeApi, headers: Headers) -> None:
        invocation = api.next(json.loads(headers.get("x-boot-last", "{}")))
        if invocation is None:
            raise ConnectionError
        body = json.dumps(invocation.event).encode()
        told = {
            "lambda-runtime-aws-request-id": invocation.id,
            "lambda-runtime-deadline-ms": round((time.time() + invocation.seconds) * 1000),
            "content-length": len(body),
        }
        self.write_head(200, told)
        self.wfile.write(body)
        self.wfile.flush()

    def _response(self, invocation: Invocation | None) -> None:
        assert invocation is not None
        prelude: bytes | None = b""
        trailers: Headers = {}
        try:
            for data in self._chunks(trailers):
                if prelude is None:
                    invocation.add(data)
                    continue
                prelude += data
                if _END_OF_PRELUDE in prelude:
                    head, _, rest = prelude.partition(_END_OF_PRELUDE)
                    prelude = None
                    invocation.begin(json.loads(head))
                    if rest:
                        invocation.add(rest)
        except (OSError, ValueError):
            return  # broken off: told as an error, or the process has ended
        failed = trailers.get("lambda-runtime-function-error-type")
        if prelude is not None and not failed:
            failed = "Runtime.NoResponse"
        self._taken()
        invocation.end({"errorType": failed, "errorMessage": ""} if failed else None)

    def _error(self, headers: Headers, invocation: Invocation | None) -> None:
        error = self._json(headers)
        self._taken()
        assert invocation is not None
        invocation.end(error)

    def _json(self, headers: Headers) -> Any:
        if headers.get("transfer-encoding") == "chunked":
            return json.loads(b"".join(self._chunks({})))
        return json.loads(self.rfile.read(int(headers.get("content-length", 0))) or b"null")

    def _chunks(self, trailers: Headers) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        trailers.update(self.read_headers())

    def _taken(self) -> None:
        self.write_head(202, {"content-length": 0})
        self.wfile.flush()
