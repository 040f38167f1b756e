"""The lifespan of an ASGI application: it starts before its first request, and is never stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, TypeAlias

Application: TypeAlias = Callable[..., Awaitable[Any]]


class Lifespan:
    """
    Starts one application, once, and keeps its state.

    The platform ends a function's process without a word, so there is no shutdown.
    """

    def __init__(self, app: Application) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._asked = False
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """
        Wait until the application has started; one that knows no lifespan has.

        Raises:
            RuntimeError: If its startup failed.
        """
        if self._task is None:
            # in a context of its own: what it starts belongs to no request
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        await asyncio.shield(self._started)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._ask, self._say)
        except Exception:  # noqa: BLE001, S110 - this is how an application says it has none
            pass
        finally:
            if not self._started.done():
                self._started.set_result(None)

    async def _ask(self) -> dict[str, str]:
        if self._asked:
            await asyncio.get_running_loop().create_future()
        self._asked = True
        return {"type": "lifespan.startup"}

    async def _say(self, message: dict[str, Any]) -> None:
        if self._started.done():
            return
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            msg = (
                f"the application did not start: {message.get('message') or 'it does not say why'}"
            )
            self._started.set_exception(RuntimeError(msg))
