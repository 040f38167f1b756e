"""Steps and handlers that several tests need."""

from __future__ import annotations

from typing import Any

from kit.execution.context import Context


async def one() -> int:
    return 1


class Boom(Exception):
    pass


async def fail(said: str = "bad") -> None:
    raise Boom(said)


async def alone(input: Any, context: Context) -> None:
    await context.step.run("a", fail)
