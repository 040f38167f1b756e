"""
The engine: events in, runs to their ends, on one run file.

What it has accepted is on disk, and so is every finished step: opening the file again continues
each unfinished run at its last checkpoint. `loop` carries the runs on; here is what can be asked.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, Self

from kit.engine.arrivals import Arrivals
from kit.engine.clock import Clock, SystemClock
from kit.engine.driving import Driving
from kit.engine.ending import Ending
from kit.engine.following import Following
from kit.engine.invocations import LoopOptions
from kit.engine.invoking import Watch
from kit.engine.live import ActiveRun
from kit.engine.loop import Loop
from kit.engine.news import damaged
from kit.engine.retention import Retention
from kit.engine.uptake import FindWorkflow
from kit.engine.waiting import Waiting
from kit.model.delivery import AfterStep
from kit.model.errors import RunNotFoundError, StoreError
from kit.model.event import Event
from kit.model.run import Run, RunStatus
from kit.model.running import current
from kit.store.sqlite.place import place
from kit.store.sqlite.runs import Durability, RunStore

Replay = Literal["pauses", "always"]


class Engine:
    """
    Runs workflows durably on the file at *path*, from `open` to `close`; or use `async with`.

    *find* gives the workflow of a name. *resume* says which unfinished runs to continue: all, or
    only those with the given ids. *fast* skips sleeps and waits. With *replay* `always` each fresh
    step ends its invocation, as on Netlify. At most *concurrency* runs go on at a time. What ended
    more than *retention* milliseconds ago is deleted; None keeps it. *observe* is told of what is
    executed here; to *follow*, also of what others make of runs that this engine waits for.

    Raises (on opening):
        StoreError: If the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        find: FindWorkflow,
        *,
        durability: Durability = "full",
        replay: Replay = "pauses",
        concurrency: int = 100,
        fast: bool = False,
        resume: Literal["all"] | Collection[str] = "all",
        retention: int | None = None,
        clock: Clock | None = None,
        observe: Watch | None = None,
        follow: bool = False,
    ) -> None:
        self.path = path = place(path)
        self._find = find
        self._durability: Durability = durability
        self._resume = resume
        self._fast = fast
        self._clock = clock or SystemClock()
        after_step = AfterStep.SUSPEND if replay == "always" else AfterStep.COMMIT
        self._options = LoopOptions(self._clock, after_step, concurrency, observe)
        self._waiting = Waiting()
        self._follow = follow
        self._retention = Retention(path, retention, self._clock.now)

    async def open(self) -> Self:
        """Open the file, and continue what an ended process left; see `close`."""
        self._assemble()
        try:
            if self._resume == "all":
                await self._driving.wish_all()
            elif self._resume:
                await self._driving.wish(*self._resume)
        except BaseException:
            await self.close()
            raise
        return self

    def _assemble(self) -> None:
        self._store = RunStore(
            self.path,
            durability=self._durability,
            on_foreign=lambda: self._driving.has_changed(),
            check=lambda: self._driving.check(),
        )
        self._loop = Loop(self._store, self._waiting, self._accept, self._options)
        known = (self._find, self._clock)
        self._driving = Driving(self._store, self._loop, self._waiting, *known, fast=self._fast)
        ends = (self._store, self._loop, self._driving, self._retention, self._waiting)
        self._ending = Ending(*ends)
        self._arrivals = Arrivals(
            self._store, self._loop, self._driving, *known, self._check_open, fast=self._fast
        )
        if self._follow and self._options.observe is not None:
            self._driving.following = Following(self._store.reader, self._options.observe)
        self._driving.on_drive = self._retention.begin
        self._loop.is_quiet_elsewhere = lambda: self._driving.is_quiet

    @property
    def is_driver(self) -> bool:
        """Whether this engine executes the runs of the file; one of all that have it open does."""
        return self._driving.is_driver

    @property
    def failure(self) -> BaseException | None:
        """Why nothing can be stored now, such as a full disk; None while all is well."""
        return self._waiting.failure

    def standing(self, run_id: str) -> Run | str:
        """Return a run if it has ended; else say how it stands, and who drives it; see `get`."""
        run = self.get(run_id)
        return run if run.status.is_final else self._driving.standing(run)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Break off what is running, which a later engine continues, and close the file."""
        await self._ending.close(self._close_store)

    async def _close_store(self) -> None:
        self._waiting.fail(self._closed())
        await self._store.close()

    def _closed(self) -> StoreError:
        msg = f"the engine on {self.path} was closed; what has not ended goes on when one is opened"
        return StoreError(msg, path=str(self.path), code="ENGINE_CLOSED")

    async def submit(self, event: Event, *, key: str | None = None) -> Run:
        """
        Accept an event: its run is on disk when this returns, and begins when it is due.

        An event whose id is known starts nothing; the run it once started is returned.

        Raises:
            WorkflowNotFoundError: If no workflow has the event's name.
            PayloadError: If the data would not survive its way to a deployed workflow.
            StoreError: If it could not be stored, or the engine has been closed.
        """
        return (await self.submit_or_find(event, key=key))[0]

    async def submit_or_find(self, event: Event, *, key: str | None = None) -> tuple[Run, bool]:
        """Accept an event, and tell whether its run is a new one; see `submit`."""
        await self._ending.recovery.look()
        run = await self._arrivals.submit(event, key, None)
        return (run, True) if run is not None else (self.get(event.id), False)

    async def _accept(self, event: Event, sender: ActiveRun) -> None:
        """Accept an event that a run has sent."""
        await self._arrivals.submit(event, None, sender)

    def get(self, run_id: str) -> Run:
        """
        Return what is known of a run.

        Raises:
            RunNotFoundError: If there is none with this id.
        """
        found = self._store.reader.find(run_id)
        if found is None:
            msg = f"no run has the id {run_id!r}"
            raise RunNotFoundError(msg, run_id=run_id)
        return found

    async def wait(self, run_id: str) -> Run:
        """
        Wait until a run has ended, and return it.

        A run that waits for another holds no place meanwhile, so that they cannot wait for a place
        that nobody gives up.

        Raises:
            RunNotFoundError: If there is none with this id.
            WorkflowNotFoundError: If it waits for a workflow that nobody defines here.
            StoreError: If the store failed or the engine was closed, so that no run can go on.
        """
        await self._arrivals.of(run_id)
        await self._ending.recovery.look()
        ended = self._waiting.for_run(run_id)
        try:
            if run_id not in self._loop.live:
                run = self.get(run_id)
                if run.status.is_final:
                    return run
                if run.status is RunStatus.UNKNOWN:
                    raise damaged(run, self.path)
                self._check_open()
                await self._driving.wish(run_id)
                self._driving.settle()
            running = current.get()
            waits = running[0].delivery.event.id if running else None
            with self._loop.lends(waits):
                return await ended
        finally:
            self._waiting.forget(run_id, ended)

    async def idle(self) -> None:
        """
        Wait until no run is going on and none is due; those that sleep may remain.

        Raises:
            StoreError: If the store failed or the engine was closed, so that no run can go on.
        """
        if self._waiting.failure or self._arrivals.are_expected or not self._loop.is_all_quiet:
            self._driving.settle()
            await self._waiting.for_quiet()

    async def stop(self, run_id: str) -> bool:
        """
        End a run: at once if it waits, else at its next step or sleep, or at its end. True: it is
        or will be cancelled. False: it had already ended.

        Raises:
            RunNotFoundError: If there is none with this id.
            StoreError: If it could not be stored.
        """
        await self._arrivals.of(run_id)
        live = self._loop.live.get(run_id)
        if live is not None and not live.busy:
            await self._loop.stop(live)
            return True
        if self.get(run_id).status.is_final:
            return False
        if live is None and await self._driving.drives() and run_id not in self._loop.live:
            if await self._driving.cancel(run_id):
                return True
        elif live is not None:
            live.stopped = True
        if await self._store.request_stop(run_id, self._clock.now()):
            self._driving.hear()
            return True
        return not self.get(run_id).status.is_final  # it was asked to stop before

    async def retry(self, run_id: str, *, from_start: bool = False) -> Run:
        """
        Run an ended run again, from its last finished step, or from the start.

        What it has recorded stays, also failures that it has dealt with; those that ended it were
        forgotten then. A run that has not ended is left alone.

        Raises:
            RunNotFoundError: If there is none with this id.
            WorkflowNotFoundError: If its workflow is not defined any more.
            StoreError: If it could not be stored, or what is stored of it is damaged.
        """
        await self._arrivals.of(run_id)
        run = self.get(run_id)
        if run.status is RunStatus.UNKNOWN:
            raise damaged(run, self.path)
        if not run.status.is_final:
            return run
        return await self._arrivals.again(run, from_start=from_start) or self.get(run_id)

    async def resume(self) -> None:
        """
        Take up every unfinished run of the file, now and whenever its driver ends.

        Raises:
            StoreError: If the file cannot be used, or the engine has been closed.
        """
        self._check_open()
        await self._driving.wish_all()

    async def reload(self) -> None:
        """
        Go on with the workflows as they are found now: runs under way from their next step on, the
        others when they are due; and take up runs whose workflow was not known before.

        Raises:
            StoreError: If the file cannot be used, or the engine has been closed.
        """
        self._check_open()
        self._loop.reload(self._find)
        self._driving.find_again()

    def _check_open(self) -> None:
        if self._waiting.failure is not None:
            raise self._waiting.failure
        if self._loop.closing:
            raise self._closed()
