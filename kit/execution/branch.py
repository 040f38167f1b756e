"""
A branch: the coroutine of one task of an invocation, as it is seen from outside.

Who drives a coroutine sees what it awaits, and can let it be: so nothing needs to be asked of
asyncio, which tells nobody.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Protocol

from kit.model.signals import Suspend

Task = asyncio.Task[Any]


class State(Enum):
    """What a branch is doing."""

    BETWEEN_STEPS = "between steps"  # it is in code of its own, or waits for others
    WAITING = "waiting"  # with us, to be let go on
    OPEN = "open"  # it is in a step's function, or in anything else that is waited for
    TO_BE_CUT_OFF = "to be cut off"  # it waits to be cancelled, as before

    __hash__ = object.__hash__


_BETWEEN_STEPS = State.BETWEEN_STEPS
_Future = asyncio.Future


class Seer(Protocol):
    """Who sees branches move; see `Gate`."""

    quiet: int
    was_busy: bool

    def waits_outside(self, branch: Branch) -> None:
        """Note that *branch* waits, between steps, for a future that is not ours."""


class Branch(Coroutine[Any, Any, Any]):
    """
    A coroutine that is driven for a task: `awaited` is what it awaits, None if it is about to go
    on. *seer* is told that it moves, between steps. One that is not `is_driven` is only looked at:
    its task was made by somebody else.
    """

    __slots__ = (
        "_is_left", "_resume", "_seer", "awaited", "coroutine", "has_asked", "is_driven", "state",
    )  # fmt: skip

    def __init__(self, coroutine: Any, seer: Seer, *, is_driven: bool = True) -> None:
        self.coroutine = coroutine
        self.is_driven = is_driven
        self.awaited: Any = None
        self.state = _BETWEEN_STEPS
        self.has_asked = False
        self._resume = coroutine.send
        self._seer = seer
        self._is_left = False

    def send(self, value: Any) -> Any:
        """Resume the coroutine, for its task."""
        if self.state is _BETWEEN_STEPS:
            self._seer.quiet = 0
        self.awaited = None
        self.awaited = self._resume(value)
        if type(self.awaited) is _Future and self.state is _BETWEEN_STEPS:
            self._seer.waits_outside(self)
        return self.awaited

    def throw(self, *error: Any) -> Any:
        """Raise in the coroutine, for its task; one that is left does not hear of it."""
        if self._is_left:
            raise error[0]
        if self.state is _BETWEEN_STEPS:
            self._seer.quiet = 0
            if type(self.awaited) is _Future:  # it is cancelled, which may be by time
                self._seer.was_busy = True
        self._resume = self.coroutine.send
        self.awaited = None
        self.awaited = self.coroutine.throw(*error)
        return self.awaited

    def interrupt(self) -> None:
        """
        Raise `Suspend` where the coroutine would go on, once, for its invocation is over.

        So what it waits for may come, as `asyncio.wait` returns when its tasks have ended, and yet
        its code does not take that for what it asked for.
        """
        if self.is_driven and self.state is not State.OPEN:
            self._resume = self._suspend

    def _suspend(self, value: Any) -> Any:
        self._resume = self.coroutine.send
        return self.coroutine.throw(Suspend())

    def close(self) -> None:
        """Close the coroutine, unless it is left."""
        if not self._is_left:
            self.coroutine.close()

    def leave(self) -> None:
        """
        Let the coroutine be where it is, never to be resumed; its task is to be cancelled now.

        Otherwise code that catches every `BaseException` in a loop would keep a task, and with it
        the whole loop, from ever ending.
        """
        self._is_left = True
        _keep(self.coroutine)

    def __await__(self) -> Any:
        return self.coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)  # its name and its frame are those of the coroutine


_kept: list[Any] = []


def _keep(coroutine: Any) -> None:
    """
    Hold on to *coroutine* for as long as there is a process.

    The garbage collector would close it, which resumes it. The frame of a daemon thread outlives
    the loop and the interpreter.
    """
    _kept.append(coroutine)
    if len(_kept) == 1:
        hold = threading.Event().wait
        threading.Thread(
            target=lambda _kept: hold(), args=(_kept,), name="kit-left", daemon=True
        ).start()
