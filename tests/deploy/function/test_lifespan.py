"""An application's beginning."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.deploy.function.lifespan import Lifespan


async def test_a_lifespan_starts_once_and_keeps_its_state():
    started: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        started.append(asyncio.current_task())
        scope["state"]["pool"] = "ready"
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.startup.complete"})
        await receive()

    lifespan = Lifespan(app)
    await asyncio.gather(lifespan.start(), lifespan.start())
    await lifespan.start()

    assert (len(started), lifespan.state) == (1, {"pool": "ready"})
    started[0].cancel()  # a lifespan does not end by itself


async def test_a_startup_that_fails_is_an_error_every_time():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    lifespan = Lifespan(app)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="did not start: no database"):
            await lifespan.start()


async def test_an_application_may_know_no_lifespan():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    await Lifespan(app).start()
