"""
The unfinished runs that are on the file and not in memory yet.

There may be a hundred thousand, asleep for a month; so they are read a page at a time, those that
are due first, when there is room for them.
"""

from __future__ import annotations

from kit.engine.clock import Clock
from kit.engine.leases import Leases
from kit.engine.loop import Loop
from kit.engine.uptake import Uptake, Wishes
from kit.engine.waiting import Waiting
from kit.model.errors import StoreError
from kit.store.sqlite.reader import PagedRun
from kit.store.sqlite.runs import RunStore

PAGE = 200
"""Runs read at once: a few milliseconds on the loop."""


class Backlog:
    """
    Takes up, as the driver, every unfinished run of the file, from `begin` on.

    `due` is when the next of them is due, in milliseconds since the epoch; None if there is none.
    """

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        waiting: Waiting,
        clock: Clock,
        leases: Leases,
        uptake: Uptake,
        wishes: Wishes,
    ) -> None:
        self.due: int | None = None
        self._store = store
        self._loop = loop
        self._waiting = waiting
        self._clock = clock
        self._leases = leases
        self._uptake = uptake
        self._wishes = wishes
        self._after: tuple[int, str] | None = None
        self._for_others = False
        self._fast = uptake.fast

    def begin(self, *, for_others: bool = False, fast: bool = False) -> None:
        """
        Take up what is due, and from then on what becomes due; what is live already stays so.

        With *for_others*, because another process asks for it: what is not known here is refused.
        """
        self._after = None
        self._for_others = for_others
        self._fast = fast or self._uptake.fast
        self._read()  # at once: what was running is due, whatever a clock that was set back says
        self._loop.pump()

    def end(self) -> None:
        """Take up nothing more."""
        self.due = None

    def take_up(self) -> bool:
        """Take up the next page, if something in it is due; tell whether that was so."""
        if self.due is None or (self.due > self._clock.now() and not self._fast):
            return False
        return self._read()

    def _read(self) -> bool:
        try:
            rows = self._store.reader.page(self._after, PAGE)
            living = self._leases.living()
            for row in rows:
                self._after = row.due, row.run_id
                self._take_up(row, living)
            self.due = self._store.reader.next_due(self._after)
        except StoreError as error:
            self._waiting.fail(error)
            return False
        return True

    def _take_up(self, row: PagedRun, living: set[str | None]) -> None:
        run_id, left = row.run_id, row.left
        if left is None or self._loop.has(run_id):
            return
        if left.driver in living:
            self._wishes.ids.add(run_id)
            return
        is_known = self._uptake.execute(left, fast=self._fast, own=self._wishes.everything)
        if not is_known and self._for_others:
            self._store.refuse(run_id, self._leases.token, self._clock.now())
