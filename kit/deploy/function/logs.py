"""
What Python prints and logs, as log frames: in order, each with the call it belongs to.

Only what goes through Python's own streams comes this way. What C code writes goes to the
process's pipes, and Node prints it as it comes.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeAlias

from kit.deploy.function.protocol import log_frame

Emit: TypeAlias = Callable[[Mapping[str, Any]], None]

running: ContextVar[tuple[int, str | None] | None] = ContextVar("running", default=None)
"""The call that the running code belongs to, and its event's id."""

_LONGEST_PART = 65_536
"""Bytes of a line that has not ended; more is not waited for."""

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))


class Lines(io.RawIOBase):
    """
    A stream that hands on whole lines; parts of lines are kept apart by call and thread.

    It is never closed: it belongs to the process, and whoever closes it is one call of many.
    """

    def __init__(self, emit: Emit, level: str, descriptor: int) -> None:
        super().__init__()
        self._emit = emit
        self._level = level
        self._descriptor = descriptor
        self.name = f"<{'stdout' if descriptor == 1 else 'stderr'}>"
        self._parts: dict[tuple[tuple[int, str | None] | None, int], bytes] = {}
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Stay open."""

    def fileno(self) -> int:
        """Return the descriptor of the real stream: what a child process is to inherit."""
        return self._descriptor

    def write(self, data: Any) -> int:
        """Hand on every line that ends in *data*, as one frame."""
        key = (running.get(), threading.get_ident())
        written = bytes(data)
        with self._lock:
            text, newline, rest = (self._parts.pop(key, b"") + written).rpartition(b"\n")
            if len(rest) > _LONGEST_PART:
                text, newline, rest = text + newline + rest, b"\n", b""
            if rest:
                self._parts[key] = rest
        if newline:
            self._say(text, key[0])
        return len(written)

    def finish(self, call: int) -> None:
        """Hand on the lines of *call* that have not ended."""
        with self._lock:
            keys = [key for key in self._parts if key[0] is not None and key[0][0] == call]
            left = [(self._parts.pop(key), key[0]) for key in keys]
        for text, owner in left:
            self._say(text, owner)

    def _say(self, text: bytes, owner: tuple[int, str | None] | None) -> None:
        call, event_id = owner or (None, None)
        said = text.decode("utf-8", "replace")
        self._emit(log_frame(said, level=self._level, call=call, event_id=event_id))


class FrameHandler(logging.Handler):
    """Hands on log records with their level."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._frames = emit
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record whose arguments do not fit its text
            self.handleError(record)
            return
        level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
        call, event_id = running.get() or (None, None)
        event_id = getattr(record, "event_id", event_id)
        self._frames(log_frame(text, level=level, call=call, event_id=event_id))


class Output(io.TextIOWrapper):
    """Standard output or error; like what it writes to, it is never closed."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(lines, "utf-8", "backslashreplace", write_through=True)

    def close(self) -> None:
        """Write what there is, and stay open."""
        with suppress(ValueError):  # it was detached
            self.flush()


class Logs:
    """Python's output, handed on as frames from the moment it is made."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._streams = (Lines(emit, "info", 1), Lines(emit, "error", 2))
        sys.stdout, sys.stderr = map(Output, self._streams)
        # the last resort, not a handler of the root: so `basicConfig` works as it does elsewhere
        logging.lastResort = FrameHandler(emit)
        logging.getLogger("kit").setLevel(logging.INFO)

    def error(self, text: str) -> None:
        """Say something as an error of the running call."""
        call, event_id = running.get() or (None, None)
        self._emit(log_frame(text.rstrip(), level="error", call=call, event_id=event_id))

    def begin(self) -> None:
        """Put the streams in place, where an earlier call has left none that can be written to."""
        for name, lines in zip(("stdout", "stderr"), self._streams, strict=True):
            if not _is_open(getattr(sys, name, None)):
                setattr(sys, name, Output(lines))

    def finish(self, call: int) -> None:
        """Hand on what *call* has printed without ending its line."""
        for stream in self._streams:
            stream.finish(call)


def _is_open(stream: Any) -> bool:
    try:
        return not stream.closed and stream.writable()
    except (AttributeError, ValueError):  # none at all, or one that was detached
        return False
