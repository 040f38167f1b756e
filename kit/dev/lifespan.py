"""The lifespan of an ASGI application: started before its first request, stopped at its end."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextvars import Context
from typing import Any

from kit.dev.guard import App

STOP_SECONDS = 0.3
"""How long an application may take to stop."""


class Lifespan:
    """
    Starts and stops *app*, and keeps its `state`; one that knows no lifespan has neither.

    Raises (from `started`):
        RuntimeError: If its startup failed.
    """

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._says: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started.add_done_callback(lambda done: done.exception())  # told to who asks, if any
        # in a context of its own: what it starts belongs to no request
        self._running = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def started(self) -> None:
        """Wait until the application has started."""
        await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Have the application stop; one that takes too long is cut off."""
        self._says.put_nowait({"type": "lifespan.shutdown"})
        _, late = await asyncio.wait([self._running], timeout=STOP_SECONDS)
        for each in late:
            each.cancel()
            await asyncio.wait([each])

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        self._says.put_nowait({"type": "lifespan.startup"})
        try:
            await self._app(scope, self._says.get, self._say)
        except Exception:  # noqa: BLE001, S110 - this is how an application says it has none
            pass
        finally:
            if not self._started.done():
                self._started.set_result(None)

    async def _say(self, message: MutableMapping[str, Any]) -> None:
        if self._started.done():
            return
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            why = message.get("message") or "it does not say why"
            self._started.set_exception(RuntimeError(f"the application did not start: {why}"))
