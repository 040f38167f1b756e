"""The socket to Node: lines in, lines out, from any thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kit.deploy.function.protocol import encode

_AT_ONCE = 262_144
_log = logging.getLogger("kit")


class Channel:
    """
    One end of the socket, read on the loop and written from everywhere.

    Writing blocks until Node has taken the line. Node always reads, so that is short, and what is
    written first arrives first: a thread's output comes before the outcome it belongs to.
    """

    def __init__(self, end: socket.socket) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket = end
        self._socket.setblocking(True)
        self._lock = threading.Lock()
        self._parts: list[bytes] = []  # of a line that has not ended yet

    def listen(self, receive: Callable[[bytes], None]) -> None:
        """Hand every line to *receive* from now on; `ended` tells when Node has gone."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._read, receive)

    def send(self, frame: Mapping[str, Any]) -> None:
        """Write one frame; nothing if Node has gone, which the reader will notice."""
        line = encode(frame)
        with self._lock, suppress(OSError):
            self._socket.sendall(line)

    def _read(self, receive: Callable[[bytes], None]) -> None:
        try:
            data = self._socket.recv(_AT_ONCE, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            if not self.ended.done():
                self.ended.set_result(None)
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = b"".join([*self._parts, line])
            self._parts.clear()
            try:
                receive(whole)
            except Exception:  # noqa: BLE001 - what one line does must not cost the next
                _log.exception("a line from Node was not dealt with")
        if rest:
            self._parts.append(rest)
