"""
How an engine ends: it is closed, or its store has failed for good.

In both cases nothing is written any more before others may take over. An engine whose store is
lost does not come back: everybody who asks it is told why.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

from kit.engine.driving import Driving
from kit.engine.loop import Loop
from kit.engine.recovery import Recovery
from kit.engine.retention import Retention
from kit.engine.waiting import Waiting
from kit.model.errors import StoreError
from kit.store.sqlite.runs import RunStore

_log = logging.getLogger("kit")


class Ending:
    """Ends what goes on in one engine, and lets others have its runs; unless `recovery` helps."""

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        driving: Driving,
        retention: Retention,
        waiting: Waiting,
    ) -> None:
        self._store = store
        self._loop = loop
        self._driving = driving
        self._retention = retention
        self._waiting = waiting
        self.recovery = Recovery(store, waiting, driving.recover, self._give_up)
        waiting.on_failure = self.recovery.begin
        store.on_lost(self._lost)

    async def close(self, close_store: Callable[[], Awaitable[None]]) -> None:
        """Break off what is running, *close_store*, and give the leases back; twice is once."""
        self._driving.cease()
        await self.recovery.close()
        await self._end(close_store)

    def _lost(self, error: StoreError) -> None:
        """Note that what was written is lost: a driver cannot go on, others may try again."""
        if self._driving.is_driver:
            self._waiting.fail(error)

    async def _give_up(self, error: BaseException) -> None:
        """Let others have the runs: because of *error* nothing can be stored here any more."""
        told = error if isinstance(error, StoreError) else None
        _log.error(
            "process %d executes no runs of %s any more, so that another process can: %s",
            os.getpid(),
            self._store.path,
            error,
            exc_info=None if told else error,
        )
        self._driving.cease()
        await self._end(partial(self._store.end_writing, told))

    async def _end(self, close_store: Callable[[], Awaitable[None]]) -> None:
        await self._retention.close()
        try:
            await self._loop.close()
            await self._driving.close()
        finally:
            await close_store()
            self._driving.release()
