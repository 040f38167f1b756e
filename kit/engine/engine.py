"""
The engine: events in, runs to their ends, on one run file.

What it has accepted is on disk, and so is every finished step: opening the file again continues
each unfinished run at its last checkpoint. `loop` carries the runs on; here is what can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from kit.engine.advance import before_failure
from kit.engine.clock import Clock, SystemClock
from kit.engine.invoking import Watch
from kit.engine.live import ActiveRun, anew, arriving
from kit.engine.loop import Loop, LoopOptions
from kit.engine.requests import Requests
from kit.engine.waiting import Waiting
from kit.model.delivery import AfterStep
from kit.model.errors import RunNotFoundError, StoreError, WorkflowNotFoundError
from kit.model.event import Event
from kit.model.run import Run, RunStatus
from kit.model.workflow import Workflow
from kit.store.sqlite.lease import Lease
from kit.store.sqlite.runs import Durability, RunStore

FindWorkflow = Callable[[str], Workflow[..., Any] | None]
Replay = Literal["pauses", "always"]


class Engine:
    """
    Runs workflows durably on the file at *path*, from `open` to `close`; or use `async with`.

    *find* gives the workflow of a name. *resume* says which unfinished runs to continue: all, or
    only those with the given ids. *fast* skips sleeps and waits. With *replay* `always` each fresh
    step ends its invocation, as on Netlify. At most *concurrency* runs go on at a time.

    Raises (on opening):
        StoreInUseError: If another engine runs on the file.
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
        clock: Clock | None = None,
        observe: Watch | None = None,
    ) -> None:
        if concurrency < 1:
            msg = f"an engine needs room for at least one run, not for {concurrency}"
            raise ValueError(msg)
        self.path = path
        self.unknown: set[str] = set()
        """Names of workflows that unfinished runs belong to and nobody defines."""
        self._find = find
        self._durability: Durability = durability
        self._resume = resume
        self._fast = fast
        self._clock = clock or SystemClock()
        after_step = AfterStep.SUSPEND if replay == "always" else AfterStep.COMMIT
        self._options = LoopOptions(self._clock, after_step, concurrency, fast, observe)
        self._waiting = Waiting()
        self._arriving: dict[str, asyncio.Future[int]] = {}

    async def open(self) -> Self:
        """Open the file, and continue what an ended process left; see `close`."""
        self._lease = Lease(self.path)
        try:
            self._store = RunStore(
                self.path, durability=self._durability, on_foreign=self._look_at_requests
            )
        except BaseException:
            self._lease.release()
            raise
        self._loop = Loop(self._store, self._waiting, self.send, self._options)
        self._requests = Requests(
            self._store, stop=self.stop, retry=self.retry, fail=self._waiting.fail
        )
        try:
            self._take_up()
        except BaseException:
            await self.close()
            raise
        return self

    def _take_up(self) -> None:
        """Continue what an ended process left unfinished."""
        now = self._clock.now()
        for run in self._store.reader.unfinished():
            if self._resume != "all" and run.id not in self._resume:
                continue
            workflow = self._find(run.workflow)
            if workflow is None:
                self.unknown.add(run.workflow)
            else:
                due = now if run.status is RunStatus.RUNNING or self._fast else run.due
                live = ActiveRun(replace(run, due=due), workflow)
                self._loop.live[run.id] = live
                self._loop.queue(live)
        self._requests.look()
        self._loop.pump()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Break off what is running, which a later engine continues, and close the file."""
        try:
            await self._loop.close()
            await self._requests.close()
        finally:
            self._waiting.fail(self._closed())
            await self._store.close()
            self._lease.release()

    def _closed(self) -> StoreError:
        msg = f"the engine on {self.path} was closed; what has not ended goes on when one is opened"
        return StoreError(msg, path=str(self.path), code="ENGINE_CLOSED")

    def _look_at_requests(self) -> None:
        if not self._loop.closing:
            self._requests.look()

    async def submit(self, event: Event, *, key: str | None = None) -> Run:
        """
        Accept an event: its run is on disk when this returns, and begins when it is due.

        An event whose id is known starts nothing; the run it once started is returned.

        Raises:
            WorkflowNotFoundError: If no workflow has the event's name.
            PayloadError: If the data would not survive its way to a deployed workflow.
            StoreError: If it could not be stored, or the engine has been closed.
        """
        workflow = self._find(event.name)
        if workflow is None:
            msg = f"no workflow is called {event.name!r}"
            raise WorkflowNotFoundError(msg)
        data = event.encoded()
        await self._arrived(event.id)
        self._check_open()
        now = self._clock.now()
        due = now if self._fast else max(event.due or 0, now)
        begins = due <= now and self._loop.reserve()
        live = arriving(event, data, workflow, now=now, due=due, begins=begins, key=key)
        if await self._store_arrival(live, self._store.insert(live.run)):
            return live.run
        return self.get(event.id)

    async def send(self, event: Event) -> None:
        """Accept an event that a workflow has sent; see `submit`."""
        await self.submit(event)

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

        Raises:
            RunNotFoundError: If there is none with this id.
            WorkflowNotFoundError: If it waits for a workflow that nobody defines here.
            StoreError: If the store failed or the engine was closed, so that no run can go on.
        """
        await self._arrived(run_id)
        if run_id in self._loop.live:
            return await self._waiting.for_run(run_id)
        run = self.get(run_id)
        if run.status.is_final:
            return run
        self._check_open()
        msg = f"run {run.id} waits for its workflow {run.workflow!r}, which nobody defines here"
        raise WorkflowNotFoundError(msg)

    async def idle(self) -> None:
        """
        Wait until no run is going on and none is due; those that sleep may remain.

        Raises:
            StoreError: If the store failed or the engine was closed, so that no run can go on.
        """
        if self._waiting.failure or self._arriving or not self._loop.is_quiet:
            await self._waiting.for_quiet()

    async def stop(self, run_id: str) -> bool:
        """
        End a run: at once if it waits, at its next step or sleep if it is running.

        Returns False if it had already ended.

        Raises:
            RunNotFoundError: If there is none with this id.
            StoreError: If it could not be stored.
        """
        await self._arrived(run_id)
        live = self._loop.live.get(run_id)
        if live is not None:
            await self._loop.stop(live)
            return True
        run = self.get(run_id)
        if run.status.is_final:
            return False
        now = self._clock.now()  # nobody defines its workflow here, so nothing is under way
        await self._store.end(replace(run, status=RunStatus.CANCELLED, ended=now), 0, ())
        return True

    async def retry(self, run_id: str, *, from_start: bool = False) -> Run:
        """
        Run an ended run again, from its last finished step, or from the start.

        A step whose failure was caught, and all that came after it, is run again. A run that has
        not ended is left alone.

        Raises:
            RunNotFoundError: If there is none with this id.
            WorkflowNotFoundError: If its workflow is not defined any more.
            StoreError: If it could not be stored.
        """
        await self._arrived(run_id)
        run = self.get(run_id)
        if not run.status.is_final:
            return run
        workflow = self._find(run.workflow)
        if workflow is None:
            msg = f"no workflow is called {run.workflow!r} any more"
            raise WorkflowNotFoundError(msg)
        self._check_open()
        keep = [] if from_start else before_failure(self._store.reader.checkpoints(run_id))
        live = ActiveRun(anew(run, self._clock.now()), workflow)
        stored = self._store.queue_again(run_id, keep, live.run.due)
        return live.run if await self._store_arrival(live, stored) else self.get(run_id)

    async def _store_arrival(self, live: ActiveRun, stored: asyncio.Future[int]) -> int:
        """Admit a run once it is stored, even if whoever brought it does not wait for that."""
        self._arriving[live.run.id] = stored
        stored.add_done_callback(partial(self._admit, live))
        return await asyncio.shield(stored)

    def _admit(self, live: ActiveRun, stored: asyncio.Future[int]) -> None:
        del self._arriving[live.run.id]
        if stored.exception() is None and stored.result():
            self._loop.admit(live)
        elif live.run.status is RunStatus.RUNNING:
            self._loop.release()

    async def _arrived(self, run_id: str) -> None:
        """Wait until nothing of this id is on its way to the disk."""
        while run_id in self._arriving:
            await asyncio.wait([self._arriving[run_id]])

    def _check_open(self) -> None:
        if self._waiting.failure is not None:
            raise self._waiting.failure
        if self._loop.closing:
            raise self._closed()
