"""
A store that fails, and works again: a full disk that gets room, a lock that is let go of.

Whoever waits when it fails is told. What could not be stored stays as it is on disk, and is read
from there once a write succeeds again; until then nothing begins. Nobody has to open the file anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kit.engine.waiting import Waiting
from kit.model.errors import StoreError
from kit.store.sqlite.runs import RunStore

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 5.0
"""How long it takes until a failed store is tried again: twice as long each time."""

_FOR_GOOD = ("STORE_LOST", "ENGINE_CLOSED")


class Recovery:
    """Tries a failed store until it works, then clears *waiting* and calls *go_on*."""

    def __init__(self, store: RunStore, waiting: Waiting, go_on: Callable[[], None]) -> None:
        self._store = store
        self._waiting = waiting
        self._go_on = go_on
        self._trying: asyncio.Task[None] | None = None

    def begin(self, error: BaseException) -> None:
        """Try whether what failed with *error* works again, unless that is pointless."""
        if _may_pass(error) and (self._trying is None or self._trying.done()):
            self._trying = asyncio.create_task(self._try(error))

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
        except StoreError:
            return False
        return True

    def _over(self, error: BaseException) -> None:
        if self._waiting.failure is error:
            self._waiting.failure = None
            self._go_on()

    async def close(self) -> None:
        """Give up."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, StoreError) and error.code not in _FOR_GOOD
