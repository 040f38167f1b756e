"""Time, as the engine sees it; a test gives it another one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

_LONGEST_TIMER = 30_000
"""Milliseconds. A timer runs on a clock that stands still while a laptop is shut, so a long wait is
looked at again now and then."""


class Timer(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """Call it off."""


class Clock(Protocol):
    """Tells the time, and calls back later."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call *callback* at *when*, or some time before, but not after; on the loop."""


class SystemClock:
    """The machine's clock and the running loop's timers."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call *callback* at *when*, or at the latest half a minute from now."""
        # one more, because a timer may fire within the millisecond before it is due
        wait = min(max(0, when - self.now() + 1), _LONGEST_TIMER)
        return asyncio.get_running_loop().call_later(wait / 1000, callback)
