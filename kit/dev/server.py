"""
`kit dev` itself: the engine, the addresses and the reload, on one event loop, until Ctrl-C.

What is stored is on disk when it is acknowledged, so ending is never slow: what still runs is
broken off after a moment, and goes on when the server is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from types import FrameType
from typing import Any, Self

import uvicorn

from kit.dev.guard import App

GRACE_SECONDS = 0.6
"""How long an ending server may take, before it ends the hard way."""

_DRAIN_SECONDS = 0.3
"""How long answers that are being given may take at the end; streams end at once."""

_TICK_SECONDS = 1.0
"""How often the date in answers is set; nothing else is done while nobody asks for anything."""


def new_token() -> str:
    """Return a token nobody can guess; it counts until the server ends."""
    return secrets.token_urlsafe(32)


class Server(uvicorn.Server):
    """Serves *app* on *sockets*; signals are the business of `until_ended`."""

    def __init__(self, app: App, sockets: Sequence[socket.socket]) -> None:
        self._sockets = list(sockets)
        self._ended, self._on_end = asyncio.Event(), _nothing
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="none",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def until(self, ended: asyncio.Event, on_end: Callable[[], None]) -> None:
        """Serve until *ended*; then *on_end* ends what streams, and connections are closed."""
        self._ended, self._on_end = ended, on_end
        await self.serve(self._sockets)

    async def main_loop(self) -> None:
        """Wait for the end, where uvicorn would look for it ten times a second."""
        while not self._ended.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let answers end that do so soon, and break off the others."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        self._on_end()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await _done(self.server_state.tasks)
        logger = logging.getLogger("uvicorn.error")
        logger.disabled = True  # it would tell with a traceback of each that is broken off
        for task in self.server_state.tasks:
            task.cancel()
        await _done(self.server_state.tasks)
        logger.disabled = False


async def _done(tasks: Collection[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)


def _nothing() -> None:
    pass


class Ending:
    """
    Ctrl-C and SIGTERM: `ended` is set, and a moment later the process is over, whatever it does.

    A handler that blocks the loop, or a step in a thread, must not keep it alive. Use it as a
    context manager around the event loop's whole life; only the main thread hears signals.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None

    def here(self) -> asyncio.Event:
        """Return what is set at the end, for the running loop."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        if self._timer is not None:
            self._ended.set()
        return self._ended

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        # the main thread runs this between two instructions, also while the loop is blocked
        if self._timer is not None:
            return
        self._timer = threading.Timer(GRACE_SECONDS, self._end_now)
        self._timer.daemon = True
        self._timer.start()
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    def _end_now(self) -> None:
        self._say("ended while something was still running; it goes on from its last step")
        os._exit(0)
