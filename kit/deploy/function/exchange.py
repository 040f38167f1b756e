"""
One HTTP request and its response, between frames and ASGI.

Both bodies are streamed. A piece of a body is sent on only while few are on their way, so that a
slow reader on either side slows the writer down instead of filling the memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from kit.deploy.function.protocol import (
    Body,
    Gone,
    Request,
    Took,
    chunk_frame,
    head_frame,
    took_frame,
)

Message: TypeAlias = "MutableMapping[str, Any]"

WINDOW = 16
"""Pieces of a body that may be on their way."""

PIECE = 131_072
"""Bytes of a piece; a response up to this size is one frame."""

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})


class Exchange:
    """
    The two ends of one request for an ASGI application: `ask` and `say`.

    Nothing is sent before the first piece of the body is there, so an application that fails
    until then can still be answered for.
    """

    def __init__(self, request: Request, emit: Callable[[Mapping[str, Any]], None]) -> None:
        self.request = request
        self.began = False  # the head is sent
        self.ended = False  # the whole response is
        self._emit = emit
        self._start: Message | None = None
        self._pieces: deque[bytes] = deque()
        self._is_complete = not request.has_body
        self._was_asked_for = False
        self._is_gone = False
        self._on_their_way = 0
        self._changed = asyncio.Event()

    def receive(self, frame: Body | Took | Gone) -> None:
        """Take what Node says about this request."""
        if isinstance(frame, Took):
            self._on_their_way -= 1
        elif isinstance(frame, Gone):
            self._is_gone = True
        elif frame.is_last:
            self._is_complete = True
        else:
            self._pieces.append(frame.data)
        self._changed.set()

    async def ask(self) -> Message:
        """Return the next piece of the request's body, or that the client has gone (ASGI)."""
        while not (self._pieces or self._is_complete or self._is_gone):
            await self._change()
        if self._pieces:
            data = self._pieces.popleft()
            self._emit(took_frame(self.request.number))
            return self._body(data)
        if self._is_complete and not self._was_asked_for:
            return self._body(b"")
        while not (self._is_gone or self.ended):
            await self._change()
        return {"type": "http.disconnect"}

    async def say(self, message: Message) -> None:
        """Send the head or a piece of the body of the response (ASGI)."""
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            self._start = message
        elif kind == "http.response.body" and self._start is not None and not self.ended:
            data = bytes(message.get("body", b""))
            await self._write(data, is_last=not message.get("more_body", False))
        else:
            msg = f"the application sent {kind!r} where it does not belong"
            raise RuntimeError(msg)

    def forget(self) -> None:
        """Drop a head that was not sent, so that another response can be."""
        self._start = None

    async def _write(self, data: bytes, *, is_last: bool) -> None:
        if self.request.method == "HEAD":
            data = b""
        at = 0
        if not self.began:
            self._begin(data[:PIECE])
            at = PIECE
        while at < len(data) and not self._is_gone:
            if self._on_their_way >= WINDOW:
                await self._change()
                continue
            self._on_their_way += 1
            self._emit(chunk_frame(self.request.number, data[at : at + PIECE]))
            at += PIECE
        if is_last:
            self.ended = True
            self._changed.set()

    def _begin(self, data: bytes) -> None:
        assert self._start is not None  # noqa: S101 - `say` has looked
        self.began = True
        self._on_their_way += 1
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._start.get("headers", ())
            if name.decode("latin-1").lower() not in _HOP_BY_HOP
        ]
        self._emit(head_frame(self.request.number, self._start["status"], headers, data))

    def _body(self, data: bytes) -> Message:
        more = bool(self._pieces) or not self._is_complete
        self._was_asked_for = not more
        return {"type": "http.request", "body": data, "more_body": more}

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
