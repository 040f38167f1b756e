"""Tasks that nobody awaits: what they fail with is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from kit.engine.waiting import Waiting


class Tasks:
    """Tasks of one engine; where one fails, so does the engine."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._tasks: set[asyncio.Task[object]] = set()

    def begin(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Begin *coroutine*."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._waiting.fail(error)

    async def close(self) -> None:
        """Wait until all are done."""
        if self._tasks:
            await asyncio.wait(self._tasks)
