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
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from kit.engine.clock import Clock
from kit.engine.live import ActiveRun
from kit.engine.loop import Loop
from kit.engine.waiting import Waiting
from kit.model.errors import (
    RunNotFoundError,
    StoreError,
    StoreInUseError,
    WorkflowNotFoundError,
)
from kit.model.run import Run, RunStatus
from kit.model.workflow import Workflow
from kit.store.sqlite.lease import Lease, is_held
from kit.store.sqlite.reader import LeftRun, Reader
from kit.store.sqlite.rows import DAMAGED
from kit.store.sqlite.runs import Ask, RunStore

FindWorkflow = Callable[[str], Workflow[..., Any] | None]

LOOK_SECONDS = 0.2
"""How often an engine with a wish tries whether the driver has gone: a few system calls."""

_LOOKS_UNTIL_SETTLED = 5
"""After so many looks, those who execute on the side are looked at too."""

_DRIVER_WATCHES = 0.05
_WAITER_WATCHES = 0.02
"""Seconds between two looks whether the file has changed: by who executes, and by who waits."""

_UNCLAIMED = 2_000
"""Milliseconds after a refusal until nobody is taken to know the workflow."""

_LANES = 1000


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
        self.token = uuid4().hex
        self.unknown: set[str] = set()
        self.is_quiet = True  # as far as other engines execute what this one wishes
        self._store = store
        self._reader: Reader = store.reader
        self._loop = loop
        self._waiting = waiting
        self._find = find
        self._clock = clock
        self._fast = fast
        self._lease: Lease | None = None
        self._side: Lease | None = None
        self._wishes: set[str] = set()
        self._wishes_all = False
        self._asked: dict[str, str] = {}
        self._asked_for_all = ""
        self._taking = asyncio.Lock()
        self._looking: asyncio.TimerHandle | None = None
        self._looks = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling = False
        self._settle_again = False
        self._stopping: set[str] = set()

    @property
    def is_driver(self) -> bool:
        """Whether this engine executes what everybody asks for."""
        return self._lease is not None

    def check(self) -> None:
        """Raise `StoreError` if a lease of this engine has lost its file; from any thread."""
        for lease in (self._lease, self._side):
            if lease is not None:
                lease.check()

    async def wish(self, *run_ids: str) -> None:
        """See to it that these runs, and those they start, are executed, here or elsewhere."""
        self._wishes.update(run_ids)
        if await self.drives():
            self._wishes |= self._take_up(self._reader.left(run_ids))
        self.watch()
        if not self.is_driver:
            self.settle()

    async def wish_all(self) -> None:
        """See to it that every unfinished run is executed, now and after whoever drives now."""
        first, self._wishes_all = not self._wishes_all, True
        if await self.drives() and first:
            await self._register(0)
            self._wishes |= self._take_up(self._reader.left())
        self.watch()
        if not self.is_driver:
            self.settle()

    def ask(self) -> Ask:
        """Return whom to ask for a run that is about to be stored."""
        return Ask(self._reader.driver(), self._fast)

    def asked(self, run_id: str, ask: Ask) -> None:
        """Note that a run is stored with *ask*, and that this engine wishes to see it end."""
        self._wishes.add(run_id)
        self._asked[run_id] = ask.driver
        self.is_quiet = False
        self.watch()

    async def drives(self) -> bool:
        """Tell whether this engine is the driver; from now on it is, if nobody else was."""
        if self._lease is None and not self._loop.closing:
            async with self._taking:
                if self._lease is None and not self._loop.closing:
                    await self._take_over()
        return self._lease is not None

    async def _take_over(self) -> None:
        try:
            self._lease = Lease(self._store.path, patience=0)
        except StoreInUseError:
            return
        try:
            await self._register(0)
            rows = self._reader.left(None if self._wishes_all else self._wishes)
            self._wishes = self._take_up(rows)
        except BaseException:
            self._lease.release()
            self._lease = None
            raise
        self._asked.clear()
        self.watch()
        self.hear()

    async def _register(self, lane: int) -> None:
        await self._store.register(lane, self.token, self._clock.now(), self._wishes_all)

    def _take_up(self, rows: Sequence[LeftRun]) -> set[str]:
        """Execute what was left, as the driver; return what others are executing."""
        living = self._living()
        for row in rows:
            if not self._loop.has(row.run.id) and row.driver not in living:
                self._execute(row, fast=self._fast)
        self._loop.pump()
        return {row.run.id for row in rows if row.driver in living}

    def _execute(self, row: LeftRun, *, fast: bool, own: bool = True) -> bool:
        """Put a run on the agenda; tell whether its workflow is known."""
        run = row.run
        workflow = self._find(run.workflow)
        if workflow is None:
            self.unknown.add(run.workflow)
            return False
        is_due = run.status is RunStatus.RUNNING or fast
        due = self._clock.now() if is_due else run.due
        live = ActiveRun(replace(run, due=due), workflow, root=row.root, fast=fast, own=own)
        live.is_found = True
        self._loop.take_up(live)
        return True

    def _living(self) -> set[str | None]:
        """Return the tokens of the other engines that execute runs, or may."""
        return {each for each in self._reader.living() if each != self.token}

    def find_again(self) -> None:
        """Take up what waits for a workflow that was not known before."""
        self.unknown.clear()
        if self._lease is not None and self._wishes_all:
            self._wishes |= self._take_up(self._reader.left())
        self._loop.pump()
        self.settle()

    def watch(self) -> None:
        """Watch the file as closely as there is something to be seen."""
        if self._loop.closing:
            return
        waits = bool(self._wishes or self._awaited_elsewhere)
        if waits:
            self._store.watch(_WAITER_WATCHES)
        else:
            self._store.watch(_DRIVER_WATCHES if self._lease or self._side else None)
        if self._looking is None and (waits or (self._wishes_all and self._lease is None)):
            later = asyncio.get_running_loop().call_later
            self._looking = later(LOOK_SECONDS, self._look)

    @property
    def _awaited_elsewhere(self) -> set[str]:
        return self._waiting.run_ids - self._loop.live.keys()

    def _look(self) -> None:
        """Take over if the driver has gone."""
        self._looking = None
        self._looks += 1
        if self._lease is None and not is_held(self._store.path):
            self._begin(self._succeed())
        elif self._looks % _LOOKS_UNTIL_SETTLED == 0:
            self.settle()
        self.watch()

    async def _succeed(self) -> None:
        await self.drives()

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
                self._execute(row, fast=was.fast, own=was.own)
        self._loop.pump()
        self.has_changed()

    def hear(self) -> None:
        """Do what is asked for by others."""
        if self._lease is None and self._side is None:
            return None
        try:
            requests = self._reader.requests()
        except StoreError as error:
            return self._waiting.fail(error)
        drives = {}
        for each in requests:
            if each.what == "stop" and each.run_id not in self._stopping:
                self._stopping.add(each.run_id)
                self._begin(self._stop(each.run_id))
            elif each.what == "drive" and (each.driver == self.token or self._wishes_all):
                drives[each.run_id] = bool(each.fast)
        if drives and self._lease is not None:
            self._accept(drives)
        return None

    def _accept(self, drives: dict[str, bool]) -> None:
        """Execute what others ask for; refuse what is not known here."""
        living = self._living()
        left = {row.run.id: row for row in self._reader.left(drives)}
        for run_id, fast in drives.items():
            row = left.get(run_id)
            if (
                row is None
                or self._loop.has(run_id)
                or row.driver in living
                or self._execute(row, fast=fast, own=False)
            ):
                self._store.answer(run_id, "drive")
            else:
                self._store.refuse(run_id, self.token, self._clock.now())
        self._loop.pump()

    async def _stop(self, run_id: str) -> None:
        try:
            live = self._loop.live.get(run_id)
            if live is not None:
                await self._loop.stop(live)
            elif self._lease is not None:
                await self.cancel(run_id)
        finally:
            self._stopping.discard(run_id)

    async def cancel(self, run_id: str) -> bool:
        """End a run that nobody executes; False if it has ended, or somebody else executes it."""
        living = self._living()
        if any(
            row.run.id == run_id and row.driver in living for row in self._reader.left([run_id])
        ):
            return False
        cancelled = await self._store.cancel(run_id, self._clock.now())
        self.settle()
        return bool(cancelled)

    def settle(self) -> None:
        """Look how the runs stand that this engine wishes to see end, and see to them."""
        if self._settling:
            self._settle_again = True
        elif not self._loop.closing:
            self._settling = True
            self._begin(self._settle())

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._loop.closing:
                self._settle_again, began = False, loop.time()
                await self._settle_once()
                if not self._settle_again:
                    return
                await asyncio.sleep(10 * (loop.time() - began))  # with many, seldom
        finally:
            self._settling = False

    async def _settle_once(self) -> None:
        ids = self._wishes | self._awaited_elsewhere
        rows = self._reader.left(ids) if ids else []
        self._tell_ended(ids - {row.run.id for row in rows})
        if self._lease is not None:
            self._wishes = self._take_up(rows)
            self._tell_unknown(rows)
            self.is_quiet = True
        else:
            await self._ask_for(rows)
            self._wishes &= {row.run.id for row in rows} | {row.root or "" for row in rows}
            now = self._clock.now()
            self.is_quiet = all(
                row.run.status is not RunStatus.RUNNING and row.run.due > now for row in rows
            )
        if self._loop.is_all_quiet:
            self._waiting.quiet()
        self.watch()

    def _tell_ended(self, ids: set[str]) -> None:
        for run_id in ids & self._waiting.run_ids:
            run = self._reader.find(run_id)
            if run is None:
                msg = f"run {run_id} was deleted"
                self._waiting.fail_run(run_id, RunNotFoundError(msg, run_id=run_id))
            elif run.status.is_final:
                self._waiting.ended(run)
            elif run.status is RunStatus.UNKNOWN:
                self._waiting.fail_run(run_id, damaged(run, self._store.path))

    def _tell_unknown(self, rows: Sequence[LeftRun]) -> None:
        """Tell those who wait for what nobody can execute."""
        living, waiting = self._living(), self._waiting.run_ids
        for row in rows:
            is_executed = self._loop.has(row.run.id) or row.driver in living
            if row.run.id in waiting and not is_executed:
                self._waiting.fail_run(row.run.id, unknown_workflow(row))

    async def _ask_for(self, rows: list[LeftRun]) -> None:
        """Ask the driver to execute what is left; or execute on the side what it has refused."""
        token = self._reader.driver()
        refused = self._reader.refused(token)
        if self._wishes_all:
            everything = self._asked_for_all != token
            rows = [*rows, *self._reader.left(None if everything else refused)]
            self._asked_for_all = token
        living, to_ask = self._living(), set()
        for row in rows:
            run_id = row.run.id
            if self._loop.has(run_id) or row.driver in living - {token}:
                continue
            if run_id in refused:
                await self._execute_aside(row, token, refused[run_id])
            elif self._asked.get(run_id) != token:
                to_ask.add(run_id)
        if to_ask:
            ask = Ask(token, self._fast)
            await self._store.request_drive(to_ask, ask, self._clock.now())
            self._asked.update(dict.fromkeys(to_ask, token))
        self._loop.pump()

    async def _execute_aside(self, row: LeftRun, refused_by: str, at: int) -> None:
        run_id = row.run.id
        if self._find(row.run.workflow) is None:
            if self._clock.now() - at > _UNCLAIMED:
                self._wishes.discard(run_id)
                self._waiting.fail_run(run_id, unknown_workflow(row))
            return
        if self._side is None:
            self._side = self._free_lane()
            await self._register(self._side.lane)
        claim = self._store.claim(run_id, self.token, before=row.driver, refused_by=refused_by)
        if await claim:
            self._execute(row, fast=self._fast)
        else:
            self._settle_again = True

    def _free_lane(self) -> Lease:
        for lane in range(1, _LANES):
            with contextlib.suppress(StoreInUseError):
                return Lease(self._store.path, lane, patience=0)
        msg = f"{self._store.path} is in use by {_LANES} processes with different workflows"
        raise StoreInUseError(msg, path=str(self._store.path), pid=0)

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._waiting.fail(error)

    def cease(self) -> None:
        """Take on nothing more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def close(self) -> None:
        """Wait until what was begun is done."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def release(self) -> None:
        """Let others take over."""
        for lease in (self._lease, self._side):
            if lease is not None:
                lease.release()
        self._lease = self._side = None


def damaged(run: Run, path: Path) -> StoreError:
    """Return the error for who waits for a run that nobody can read."""
    msg = run.failure.message if run.failure else f"run {run.id} cannot be read"
    return StoreError(msg, path=str(path), code=DAMAGED)


def unknown_workflow(row: LeftRun) -> WorkflowNotFoundError:
    """Return the error for who waits for a run that nobody can execute."""
    run = row.run
    msg = f"run {run.id} waits for its workflow {run.workflow!r}, which nobody defines here"
    return WorkflowNotFoundError(msg)
