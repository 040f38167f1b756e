"""
Many processes, one driver.

Any number of engines, in any number of processes, may have one run file open. One of them, the
*driver*, holds the lease and executes runs. The others write rows and watch the file.

* An engine *wishes* to see some runs end: those it has started, tried again or waits for, with all
  that these start; or every run there is (`resume`). While it has a wish, it takes the lease once
  nobody holds it, and then executes what it wishes. So a script executes what it starts and
  leaves alone what it finds; and where a driver dies, another that wishes goes on at once.
* Where somebody else is the driver, an engine *asks*: by a row in `requests`, written in the same
  transaction as the run itself and addressed to the driver's token. Each driver has a new one: what
  was asked of a dead driver is not heard by the next. The living ask again, the dead cannot; so
  what a dead process left is left until somebody wishes it.
* A driver that does not know a run's workflow *refuses*. Who asked then executes that run on the
  side, if it knows the workflow, under the lease of another lane. It first writes its token into
  the run, which succeeds only while the refusal is the present driver's; and nobody touches a run
  that carries the token of a living engine. So no run is ever executed by two.
* A stop is a row in `requests` too, heard by whoever executes the run, or else by the driver. A
  request goes in the transaction that stores its effect.
* An engine that closes lets the runs it executes for others come to their next step, and stores
  where they are; whoever follows goes on from there.

Whoever holds the lock on a lease's file is alive: the system lets go of it with the process. So
nothing here has a time-out, and a process that was stopped for an hour has lost nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kit.engine.asking import Asking
from kit.engine.backlog import Backlog
from kit.engine.clock import Clock
from kit.engine.following import Following
from kit.engine.hearing import Hearing
from kit.engine.leases import Leases
from kit.engine.loop import Loop
from kit.engine.news import News
from kit.engine.silence import Silence
from kit.engine.tasks import Tasks
from kit.engine.uptake import FindWorkflow, Uptake, Wishes, are_due
from kit.engine.waiting import Waiting
from kit.model.errors import StoreError
from kit.store.sqlite.reader import LeftRun, Reader
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.statements import Ask

LOOK_SECONDS = 0.2
"""How often an engine with a wish tries whether the driver has gone: a few system calls."""

_LOOKS_UNTIL_SETTLED = 5
"""After so many looks, those who execute on the side are looked at too."""

_DRIVER_WATCHES = 0.05
_WAITER_WATCHES = 0.02
"""Seconds between two looks whether the file has changed: by who executes, and by who waits."""


class Driving:
    """What one engine is to the others on its file, and which runs it wishes to see end."""

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        waiting: Waiting,
        find: FindWorkflow,
        clock: Clock,
        *,
        fast: bool,
    ) -> None:
        self.following: Following | None = None
        self.on_drive: Callable[[], None] = lambda: None
        self.is_quiet = True  # as far as other engines execute what this one wishes
        self._store = store
        self._reader: Reader = store.reader
        self._loop = loop
        self._waiting = waiting
        self._clock = clock
        self._wishes = Wishes()
        self._leases = Leases(store, clock)
        self._uptake = Uptake(loop, find, clock, self._leases, fast=fast)
        held = (clock, self._leases, self._uptake, self._wishes)
        self._asking = Asking(store, loop, waiting, *held)
        self._silence = Silence(store, clock, self._leases, self._asking)
        self.standing = self._silence.standing
        self._backlog = Backlog(store, loop, waiting, *held)
        self._hearing = Hearing(store, loop, *held, self._backlog)
        loop.take_up_more, loop.more_due = self._backlog.take_up, lambda: self._backlog.due
        loop.refuse_by(lambda run_id: store.refuse(run_id, self._leases.token, clock.now()))
        self._news = News(store.reader, loop, waiting, self._leases)
        self._taking = asyncio.Lock()
        self._looking: asyncio.TimerHandle | None = None
        self._looks = 0
        self._tasks = Tasks(waiting)
        self._settling = False
        self._settle_again = False

    @property
    def is_driver(self) -> bool:
        """Whether this engine executes what everybody asks for."""
        return self._leases.drives

    def check(self) -> None:
        """Raise `StoreError` if a lease of this engine has lost its file; from any thread."""
        self._leases.check()

    async def wish(self, *run_ids: str) -> None:
        """See to it that these runs, and those they start, are executed, here or elsewhere."""
        self._wishes.ids.update(run_ids)
        if await self.drives():
            self._wishes.ids |= self._uptake.take_up(self._reader.left(run_ids))
        self.watch()
        if not self.is_driver:
            self.settle()

    async def wish_all(self) -> None:
        """See to it that every unfinished run is executed, now and after whoever drives now."""
        first, self._wishes.everything = not self._wishes.everything, True
        if await self.drives() and first:
            await self._leases.register(0, everything=True)
            self._backlog.begin()
        self.watch()
        if not self.is_driver:
            self.settle()

    def ask(self) -> Ask:
        """Return whom to ask for a run that is about to be stored."""
        return self._asking.whom()

    def asked(self, run_id: str, ask: Ask) -> None:
        """Note that a run is stored with *ask*, and that this engine wishes to see it end."""
        self._wishes.ids.add(run_id)
        self._asking.has_asked(run_id, ask)
        self.is_quiet = False
        self.watch()

    async def drives(self) -> bool:
        """Tell whether this engine is the driver; from now on it is, if nobody else was."""
        if not self._leases.drives and not self._loop.closing:
            async with self._taking:
                if not self._leases.drives and not self._loop.closing:
                    await self._take_over()
        return self._leases.drives

    async def _take_over(self) -> None:
        if not self._leases.take():
            return
        wishes = self._wishes
        try:
            await self._leases.register(0, everything=wishes.everything)
            wishes.ids = self._uptake.take_up(self._reader.left(wishes.ids))
            if wishes.everything:
                self._backlog.begin()
        except BaseException:
            self._leases.give_up()
            raise
        self._asking.forget()
        self.on_drive()
        self.watch()
        self.hear()

    def find_again(self) -> None:
        """Take up what waits for a workflow that was not known before."""
        if self._leases.drives and self._wishes.everything:
            self._backlog.begin()
        self._loop.pump()
        self.settle()

    def watch(self) -> None:
        """Watch the file as closely as there is something to be seen."""
        if self._loop.closing:
            return
        waits = bool(self._wishes.ids or self._news.awaited)
        idle = _DRIVER_WATCHES if self._leases.executes else None
        self._store.watch(_WAITER_WATCHES if waits else idle)
        is_heir = self._wishes.everything and not self._leases.drives
        if self._looking is None and (waits or is_heir):
            later = asyncio.get_running_loop().call_later
            self._looking = later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Take over if the driver has gone."""
        self._looking = None
        self._looks += 1
        if not self._leases.drives and self._leases.are_free():
            self._tasks.begin(self.drives())
        elif self._looks % _LOOKS_UNTIL_SETTLED == 0:
            self.settle()
        self.watch()

    def has_changed(self) -> None:
        """See what others have written to the file."""
        if not self._loop.closing:
            self.hear()
            self.settle()

    def recover(self) -> None:
        """Go on after the store has failed: as the disk has it, not as it was in memory."""
        if self._loop.closing:
            return
        fallen = self._loop.recover()
        for row in self._reader.left(fallen):
            was = fallen.get(row.run.id)
            if was is not None:
                self._uptake.execute(row, fast=was.fast, own=was.own)
        self._loop.pump()
        self.has_changed()

    def hear(self) -> None:
        """Do what is asked for by others."""
        if not self._leases.executes:
            return
        try:
            requests = self._reader.requests()
        except StoreError as error:
            self._waiting.fail(error)
            return
        for run_id in self._hearing.to_stop(requests):
            self._tasks.begin(self._stop(run_id))
        self._hearing.accept(requests)

    async def _stop(self, run_id: str) -> None:
        if await self._hearing.stop(run_id):
            self.settle()

    async def cancel(self, run_id: str) -> bool:
        """End a run that nobody executes; False if it has ended, or somebody else executes it."""
        cancelled = await self._hearing.cancel(run_id)
        self.settle()
        return cancelled

    def settle(self) -> None:
        """Look how the runs stand that this engine wishes to see end, and see to them."""
        if self._settling:
            self._settle_again = True
        elif not self._loop.closing:
            self._settling = True
            self._tasks.begin(self._settle())

    async def _settle(self) -> None:
        try:
            while not self._loop.closing:
                self._settle_again, began = False, time.thread_time()
                rows = self._left()
                took = time.thread_time() - began  # without the wait for writes: that may be long
                await self._settle_once(rows)
                if not self._settle_again:
                    return
                await asyncio.sleep(10 * took)  # with many, seldom
        finally:
            self._settling = False

    def _left(self) -> list[LeftRun]:
        """Return what is left of what this engine wishes or waits for; tell of all else."""
        ids = self._wishes.ids | self._news.awaited
        rows = self._reader.left(ids) if ids else []
        if self.following is not None and not self._leases.drives:
            self.following.look((ids | {row.run.id for row in rows}) - self._loop.live.keys())
        self._news.tell_set_aside()
        self._news.tell_ended(ids - {row.run.id for row in rows})
        return rows

    async def _settle_once(self, rows: list[LeftRun]) -> None:
        if self._leases.drives:
            self._wishes.ids = self._uptake.take_up(rows)
            self._news.tell_unknown(rows)
            self.is_quiet = True
        else:
            await self._see_to(rows)
        if self._loop.is_all_quiet:
            self._waiting.quiet()
        self.watch()

    async def _see_to(self, rows: list[LeftRun]) -> None:
        """Have others execute *rows*, and keep wishing for what is left of them."""
        if await self._asking.ask_for(rows):
            self._settle_again = True
        self._wishes.ids &= {row.run.id for row in rows} | {row.root or "" for row in rows}
        due = are_due(rows, self._clock.now())
        self.is_quiet = not due
        await self._silence.look(due)

    def cease(self) -> None:
        """Take on nothing more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def close(self) -> None:
        """Wait until what was begun is done."""
        await self._tasks.close()
        self._leases.note_busy()

    def release(self) -> None:
        """Let others take over, once no plain step goes on any more: none overlaps itself."""
        self._leases.release()
