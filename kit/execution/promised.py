"""What a handler has asked for and not awaited yet."""

from __future__ import annotations

import inspect
from collections.abc import Container, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Promised:
    """The coroutines that a handler was given: each is to be awaited."""

    def __init__(self) -> None:
        self._noted: list[tuple[str, Coroutine[Any, Any, Any]]] = []

    def note(self, what: str, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Note *coroutine*, which is *what* the handler has asked for, and return it."""
        while self._noted and _has_begun(self._noted[-1][1]):
            self._noted.pop()
        self._noted.append((what, coroutine))
        return coroutine

    def forgotten(self) -> list[str]:
        """Return what was never awaited, in the order in which it was asked for."""
        return [what for what, coroutine in self._noted if not _has_begun(coroutine)]

    def close(self, owned: Container[object]) -> None:
        """Let go of what was never awaited, without a word from Python; tasks *own* theirs."""
        for _, coroutine in self._noted:
            if not _has_begun(coroutine) and coroutine not in owned:
                coroutine.close()
        self._noted.clear()


def _has_begun(coroutine: Coroutine[Any, Any, Any]) -> bool:
    return inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
