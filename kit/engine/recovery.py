"""
A store that fails, and works again: a full disk that gets room, a lock that is let go of.

Whoever waits when it fails is told. What could not be stored stays as it is on disk, and is read
from there once a write succeeds again; until then nothing begins. Nobody has to open the file anew.

A file that is lost, such as a deleted one, does not come back: then the engine gives up its runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kit.engine.waiting import Waiting
from kit.model.errors import StoreError
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.watched_file import LOST

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 5.0
"""How long it takes until a failed store is tried again: twice as long each time."""


class Recovery:
    """
    Tries a failed store until it works, then clears *waiting* and calls *go_on*.

    *give_up* is awaited once, with the reason, if it cannot work any more.
    """

    def __init__(
        self,
        store: RunStore,
        waiting: Waiting,
        go_on: Callable[[], None],
        give_up: Callable[[BaseException], Coroutine[Any, Any, None]],
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._go_on = go_on
        self._give_up = give_up
        self._trying: asyncio.Task[None] | None = None
        self._giving_up: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self, error: BaseException) -> None:
        """Try whether what failed with *error* works again; give up if that is pointless."""
        if self._closed or getattr(error, "code", "") == "ENGINE_CLOSED":
            return
        if not _may_pass(error):
            self._end(error)
        elif self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(error))

    def _end(self, error: BaseException) -> None:
        if self._giving_up is None and not self._closed:
            self._giving_up = asyncio.create_task(self._give_up(error))

    async def look(self) -> None:
        """Try at once, for somebody who comes anew: what was wrong may be over by now."""
        error = self._waiting.failure
        if error is None or not _may_pass(error) or not await self._works():
            return
        if self._trying is not None and self._waiting.failure is error:
            self._trying.cancel()
            self._trying = None  # so that the next failure is tried, too
        self._over(error)

    async def _try(self, error: BaseException) -> None:
        wait = FIRST_SECONDS
        while self._waiting.failure is error:
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_SECONDS)
            if await self._works():
                self._over(error)

    async def _works(self) -> bool:
        try:
            await self._store.probe()
        except StoreError as again:
            if again.code == LOST:
                self._waiting.failure = again
                self._end(again)
            return False
        return True

    def _over(self, error: BaseException) -> None:
        if self._waiting.failure is error:
            self._waiting.failure = None
            self._go_on()

    async def close(self) -> None:
        """Try no more; return once what was given up is."""
        self._closed = True
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])
        if self._giving_up is not None:
            await asyncio.wait([self._giving_up])


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StoreError) and error.code != LOST
