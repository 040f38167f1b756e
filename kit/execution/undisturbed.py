"""
A wait that being cancelled does not end.

A task may be cancelled once per turn of the loop, until it has ended: so does anyio, and so does
who loops over `task.cancel()`. If each of those woke it, it would line up again each time, all
would never be quiet, and nobody would ever go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any


class Undisturbed(asyncio.Future[Any]):
    """
    What a task waits for, asleep, whatever cancels it; *hears* tells when that counts after all.

    asyncio keeps in mind that the task was cancelled, and raises that when the wait is over. It is
    not passed on: who waits so raises what cut it off first.
    """

    def __init__(self, hears: Callable[[], bool]) -> None:
        super().__init__()
        self._hears = hears

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the wait if that counts, and tell whether it did."""
        return self._hears() and super().cancel(msg)

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            return (yield from super().__await__())
        except asyncio.CancelledError:
            if self.cancelled() or not self.done():
                raise
            return self.result()

    __iter__ = __await__
