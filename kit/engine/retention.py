"""Forgetting runs that ended long ago, while the engine drives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from kit.model.duration import parse_duration, to_milliseconds
from kit.model.errors import StoreError
from kit.store.sqlite.housekeeping import Ended, delete_ended

EVERY_SECONDS = 3600.0
_log = logging.getLogger("kit")


def milliseconds(retention: str | None) -> int | None:
    """Return the setting `retention`, a duration with its unit, in milliseconds."""
    return None if retention is None else to_milliseconds(parse_duration(retention))


class Retention:
    """
    Deletes, from `begin` on and every hour, what ended more than *keep* milliseconds ago.

    It is the driver's to do: one process is enough. With None everything is kept.
    """

    def __init__(self, path: Path, keep: int | None, now: Callable[[], int]) -> None:
        self._path = path
        self._keep = keep
        self._now = now
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to see to it; doing it twice does nothing."""
        if self._keep is not None and self._task is None:
            self._task = asyncio.create_task(self._forget(self._keep))

    async def _forget(self, keep: int) -> None:
        while True:
            which = Ended(before=self._now() - keep)
            try:
                await asyncio.to_thread(delete_ended, self._path, which)
            except StoreError as error:
                _log.warning("runs past their retention were not deleted: %s", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
