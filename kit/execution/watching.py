"""
Watching an invocation in which nobody asks for anything, and everybody waits for something else.

It may be fetched outside of steps. Or it is what nobody will bring about: an event, say, that was
set after a step which is gone. Then the run would stand for ever, without a word.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

FIRST_SECONDS = 1.0
"""When it is looked at first; and then after twice as long each time."""

MOST_SECONDS = 60.0
"""How long at most until it is looked at again; from then on the wait is a long one."""


class Watched(Protocol):
    """The branches of an invocation; see `Gate`."""

    loop: asyncio.AbstractEventLoop

    @property
    def is_decided(self) -> bool:
        """Whether nothing is to be watched any more."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody is in a step, or waits with us."""

    @property
    def is_in_vain(self) -> bool:
        """Whether everybody waits for what none of them, and nobody else, can bring about."""

    def stands(self, is_in_vain: bool) -> None:
        """Say that it waits so, or has for long."""


class Watch:
    """What looks, now and then, how *gate* waits, and tells it if that is in vain, or long."""

    def __init__(self, gate: Watched) -> None:
        self._gate = gate
        self._timer: asyncio.TimerHandle | None = None
        self._after, self._lasts = FIRST_SECONDS, 0.0

    def begin(self) -> None:
        """Look after a while, since somebody waits for what is not ours."""
        if self._timer is None and not self._gate.is_decided:
            self._timer = self._gate.loop.call_later(self._after, self._look)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        is_idle = self._gate.is_idle
        self._lasts = self._lasts + self._after if is_idle else 0.0
        self._after = min(2 * self._after, MOST_SECONDS)
        if is_idle:
            is_in_vain = self._gate.is_in_vain
            if is_in_vain or self._lasts >= MOST_SECONDS:
                self._gate.stands(is_in_vain)
        self.begin()
