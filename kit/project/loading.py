"""
Modules that are loaded at the first use, and a fork that must not come between.

A child has none of its parent's threads; what one of them was importing stays locked there for
ever, half made. So whoever loads modules for a thread that others may fork beside holds `loading`,
and a fork waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 10.0
"""Seconds a fork waits: what is loaded may be a file of the user's, which waits for something."""

_lock = threading.RLock()  # a file that is loaded may fork
_is_held = False


@contextmanager
def loading() -> Iterator[None]:
    """Keep other threads from forking meanwhile."""
    with _lock:
        yield


def _before_fork() -> None:
    global _is_held
    _is_held = _lock.acquire(timeout=_PATIENCE)


def _after_fork_in_parent() -> None:
    if _is_held:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
