"""What a handler has asked for and not awaited yet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

Noted = tuple[str, str, Coroutine[Any, Any, Any]]

_MANY = 64


class Promised:
    """The coroutines that a handler was given: each is to be awaited."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self._most = _MANY
        self.within: dict[str, list[Noted]] = {}  # what a step's function has asked for, by its id

    def note(
        self, what: str, name: str, coroutine: Coroutine[Any, Any, T]
    ) -> Coroutine[Any, Any, T]:
        """Note *coroutine*, which is of the *what* of that *name*, and return it."""
        noted = self._noted
        if noted and noted[-1][2].cr_frame is None:  # type: ignore[attr-defined] # it has ended
            noted[-1] = (what, name, coroutine)  # as nearly always: one is awaited after the other
            return coroutine
        noted.append((what, name, coroutine))
        if len(noted) > self._most:
            self._prune()
            self._most = _MANY + 2 * len(self._noted)
        return coroutine

    def forgotten(self) -> list[str]:
        """Return what was never awaited, in the order in which it was asked for."""
        self._prune()
        return _said(self._noted)

    def note_within(self, outer: str, noted: Noted) -> None:
        """Note what the function of the step *outer* has asked for."""
        self.within.setdefault(outer, []).append(noted)

    def forgotten_within(self, outer: str) -> list[str]:
        """Return what was never awaited in a step that has ended, and let go of it."""
        left = [each for each in self.within.pop(outer, ()) if not _has_begun(each[2])]
        for _, _, coroutine in left:
            coroutine.close()
        return _said(left)

    def close(self, owned: Callable[[], Container[object]]) -> None:
        """Let go of what was never awaited, without a word from Python; tasks *own* theirs."""
        for outer in list(self.within):  # of steps that were cut off
            self.forgotten_within(outer)
        if not self._noted:  # as is usual, after `forgotten`
            return
        self._prune()
        for _, _, coroutine in self._noted:
            if coroutine not in owned():
                coroutine.close()
        self._noted.clear()

    def _prune(self) -> None:
        self._noted = [each for each in self._noted if not _has_begun(each[2])]


def _said(noted: list[Noted]) -> list[str]:
    return [f"{what} {name!r}" for what, name, _ in noted]


def _has_begun(coroutine: Coroutine[Any, Any, Any]) -> bool:
    if coroutine.cr_frame is None:  # type: ignore[attr-defined] # it has ended, as most have
        return True
    return inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
