"""Time, as the engine sees it; a test gives it another one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

_LONGEST_TIMER = 30_000
"""Milliseconds. A timer runs on a clock that stands still while a laptop is shut, so a long wait is
looked at again now and then."""


_SET_MS = 1_000
"""The calendar's clock was set if it is off by so much; less may be the two clocks' own pace."""

# monotonic() stands still while the machine sleeps, on Linux and on macOS; these go on
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None) or (
    time.CLOCK_MONOTONIC if sys.platform == "darwin" else None
)


_steady_ns: Callable[[], int] = (
    time.monotonic_ns if _BOOT_CLOCK is None else partial(time.clock_gettime_ns, _BOOT_CLOCK)
)


class Timer(Protocol):
    """Something that can be called off."""

    def cancel(self) -> None:
        """Call it off."""


class Clock(Protocol):
    """Tells the time, measures it, and calls back later."""

    def now(self) -> int:
        """Return milliseconds since the epoch: what the calendar says, which may be set anew."""

    def steady(self) -> int:
        """Return milliseconds since some moment, which nobody can set."""

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call *callback* at *when*, or some time before, but not after; on the loop."""


class SystemClock:
    """The machine's clock and the running loop's timers."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def steady(self) -> int:
        """Return milliseconds since the machine was started, also those it slept through."""
        return _steady_ns() // 1_000_000

    def call_at(self, when: int, callback: Callable[[], None]) -> Timer:
        """Call *callback* at *when*, or at the latest half a minute from now."""
        # one more, because a timer may fire within the millisecond before it is due
        wait = min(max(0, when - self.now() + 1), _LONGEST_TIMER)
        return asyncio.get_running_loop().call_later(wait / 1000, callback)


class ClockSettings:
    """Notes when the calendar's clock is set."""

    def __init__(self, clock: Clock) -> None:
        self._now, self._steady = clock.now, clock.steady
        self._offset = self._now() - self._steady()

    def jumped(self) -> int:
        """Return how many milliseconds the clock was set forward since the last call; 0 if not."""
        offset = self._now() - self._steady()
        jump, self._offset = offset - self._offset, offset
        return jump if abs(jump) >= _SET_MS else 0


class Stopwatch:
    """The time as it was, and as it has gone on since then, whatever the clock was set to."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._steady = clock, clock.steady
        self._offset = clock.now() - self._steady()

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self._steady() + self._offset

    def jumped(self) -> int:
        """Return how many milliseconds the clock was set forward meanwhile; 0 if it was not."""
        jump = self._clock.now() - self.now()
        return jump if abs(jump) >= _SET_MS else 0
