"""
News for whoever watches, gathered: a run that makes 500 steps a second is told of 4 times.

`Feed` is told what happens; each watcher gets a `Change` with all that happened since its last
one. What waits for a slow watcher is a bounded set of ids, and beyond it one word: everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from weakref import WeakSet

from kit.dev.runs import Change

INTERVAL = 0.25
"""Seconds between two changes told to one watcher, at least."""

MOST = 200
"""Runs named in a change; if more have changed, all are to be looked at again."""


class _Watcher:
    """What one watcher has not been told yet."""

    def __init__(self) -> None:
        self.runs: set[str] = set()
        self.rest = Change()
        self.woken = asyncio.Event()

    def add(self, change: Change) -> None:
        """Have it told of a change, too."""
        self.runs |= change.runs
        self.rest = merged(self.rest, replace(change, runs=frozenset()))
        self.wake()

    def wake(self) -> None:
        """Have it look; more runs than can be named become everything."""
        if len(self.runs) > MOST:
            self.rest = replace(self.rest, is_everything=True)
        if self.rest.is_everything:
            self.runs.clear()
        self.woken.set()

    def take(self) -> Change:
        """Return what there is, as one change."""
        change = replace(self.rest, runs=frozenset(self.runs))
        self.runs, self.rest = set(), Change()
        self.woken.clear()
        return change


class Feed:
    """Gathers news and hands it to any number of watchers; belongs to one event loop."""

    def __init__(self, *, interval: float = INTERVAL) -> None:
        self._interval = interval
        # weakly: who drops the iterator need not say so
        self._watchers: WeakSet[_Watcher] = WeakSet()
        self._is_watched = False  # looked at for every step, where the set would take longer
        self._closed = asyncio.Event()

    @property
    def has_watchers(self) -> bool:
        """Whether anybody watches."""
        self._is_watched = bool(self._watchers)
        return self._is_watched

    def tell(self, run_id: str) -> None:
        """Tell that a run has changed; called for every step, and quick where nobody watches."""
        if not self._is_watched:
            return
        for watcher in self._watchers:
            if run_id not in watcher.runs:
                watcher.runs.add(run_id)
                watcher.wake()

    def tell_of(self, change: Change) -> None:
        """Tell of any change."""
        for watcher in list(self._watchers):
            watcher.add(change)

    def changes(self) -> AsyncIterator[Change]:
        """Yield what changes from this call on, until the feed is closed."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        self._is_watched = True
        if self._closed.is_set():
            watcher.woken.set()  # who comes too late is told so
        return self._changes(watcher)

    def close(self) -> None:
        """End every watcher's news."""
        self._closed.set()
        for watcher in list(self._watchers):
            watcher.woken.set()

    async def _changes(self, watcher: _Watcher) -> AsyncIterator[Change]:
        while True:
            await watcher.woken.wait()
            if self._closed.is_set():
                return
            yield watcher.take()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._closed.wait()


def merged(one: Change, other: Change) -> Change:
    """Return two changes as one."""
    everything = one.is_everything or other.is_everything
    runs = frozenset() if everything else one.runs | other.runs
    if len(runs) > MOST:
        everything, runs = True, frozenset()
    workflows = one.workflows or other.workflows
    return Change(runs, everything, workflows, one.source or other.source)
