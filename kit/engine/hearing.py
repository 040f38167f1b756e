"""What other processes ask of an engine that executes: to stop a run, or to execute one."""

from __future__ import annotations

import asyncio
import contextlib
import time

from kit.engine.backlog import Backlog
from kit.engine.clock import Clock
from kit.engine.leases import Leases
from kit.engine.loop import Loop
from kit.engine.uptake import Uptake, Wishes
from kit.model.errors import StoreError
from kit.store.sqlite.reader import Reader, RunRequest
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.statements import EVERYTHING

_LISTEN_SECONDS = 0.001
"""How often it is looked, at most, whether a run that goes on is to stop: a look takes 6 µs."""


class Hearing:
    """Does what the requests on the file ask for, as far as it is this engine's to do."""

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        clock: Clock,
        leases: Leases,
        uptake: Uptake,
        wishes: Wishes,
        backlog: Backlog,
    ) -> None:
        self._store = store
        self._reader: Reader = store.reader
        self._loop = loop
        self._clock = clock
        self._leases = leases
        self._uptake = uptake
        self._wishes = wishes
        self._backlog = backlog
        self._stopping: set[str] = set()
        self._listened, self._stops = 0.0, 0
        loop.listen_by(self.listen, self.look)

    def listen(self) -> None:
        """
        Hear whether a run is to stop, before it goes on; `stop` then does all else.

        What was on the file before the last COMMIT, or before the run woke, is heard already. What
        another process asks for after that, and within `_LISTEN_SECONDS` of the last look, is heard
        at the next COMMIT, which is the end of the run if it has no further step or sleep.
        """
        looked = max(self._listened, self._store.answered)
        if RunStore.stops != self._stops or time.monotonic() - looked >= _LISTEN_SECONDS:
            self.look()

    def look(self) -> None:
        """Look which runs are to stop, and mark them."""
        self._listened, self._stops = time.monotonic(), RunStore.stops
        with contextlib.suppress(StoreError):  # the next write will tell what is wrong
            self._mark(self._reader.stops())

    def _mark(self, run_ids: list[str]) -> None:
        for run_id in run_ids:
            live = self._loop.live.get(run_id)
            if live is not None:
                live.stopped = True

    def to_stop(self, requests: list[RunRequest]) -> list[str]:
        """Return the runs to be stopped, each once until `stop` has returned."""
        found = [each.run_id for each in requests if each.what == "stop"]
        fresh = [run_id for run_id in found if run_id not in self._stopping]
        self._stopping.update(fresh)
        self._mark(fresh)
        return fresh

    async def stop(self, run_id: str) -> bool:
        """End a run that is executed here, or by nobody; tell whether the latter was so."""
        try:
            while (arriving := self._loop.arriving.get(run_id)) is not None:
                await asyncio.wait([arriving])
            live = self._loop.live.get(run_id)
            if live is not None:
                await self._loop.stop(live)
            elif self._leases.drives:
                return await self.cancel(run_id)
            return False
        finally:
            self._stopping.discard(run_id)

    async def cancel(self, run_id: str) -> bool:
        """End a run that nobody executes; False if it has ended, or somebody else executes it."""
        living = self._leases.living()
        if any(
            row.run.id == run_id and row.driver in living for row in self._reader.left([run_id])
        ):
            return False
        cancelled = self._store.cancel(run_id, self._clock.now())
        self._loop.arriving[run_id] = cancelled  # so that nobody takes it up meanwhile
        try:
            return bool(await asyncio.shield(cancelled))
        finally:
            cancelled.add_done_callback(lambda _: self._loop.arriving.pop(run_id, None))

    def accept(self, requests: list[RunRequest]) -> None:
        """Execute what others ask for; refuse what is not known here."""
        drives = {each.run_id: bool(each.fast) for each in requests if self._is_asked(each)}
        if not drives:
            return
        if EVERYTHING in drives:
            fast = drives.pop(EVERYTHING)
            self._backlog.begin(for_others=True, fast=fast)
            self._store.answer(EVERYTHING, "drive")
        living = self._leases.living()
        left = {row.run.id: row for row in self._reader.left(drives)}
        for run_id, fast in drives.items():
            row = left.get(run_id)
            if (
                row is None
                or self._loop.has(run_id)
                or row.driver in living
                or self._uptake.execute(row, fast=fast, own=False)
            ):
                self._store.answer(run_id, "drive")
            else:
                self._store.refuse(run_id, self._leases.token, self._clock.now())
        self._loop.pump()

    def _is_asked(self, each: RunRequest) -> bool:
        is_ours = each.driver == self._leases.token or self._wishes.everything
        return each.what == "drive" and self._leases.drives and is_ours
