"""
The engine: events in, runs to their ends, on one run file.

Nothing polls. Due times sit in a heap with one timer; a new event, a finished invocation or a due
time wakes the engine, which begins as many runs as it has room for. What an invocation came to is
stored in one transaction before anything is done about it, so a process may end at any point:
opening the file again continues every unfinished run at its last checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from kit.engine.after import after, before_failure
from kit.engine.agenda import Agenda
from kit.engine.clock import Clock, SystemClock, Timer
from kit.engine.invoking import Invoking, Watch, timed_out
from kit.engine.live import Live
from kit.engine.waiting import Waiting
from kit.errors import RunNotFoundError, WorkflowError, WorkflowNotFoundError
from kit.event import Event
from kit.payload import check_travels
from kit.run import After, Checkpoint, Completed, Failure, Outcome, Progress, Run, RunStatus
from kit.store import Lease, RunStore
from kit.store.runs import Durability
from kit.workflow import Workflow

FindWorkflow = Callable[[str], Workflow[..., Any] | None]
Replay = Literal["pauses", "always"]


class Engine:
    """
    Runs workflows durably on the file at *path*; use it as an async context manager.

    *find* gives the workflow of a name. *resume* says which unfinished runs to continue: all, or
    only those with the given ids. *fast* skips sleeps and waits. With *replay* `always` each fresh
    step ends its invocation, as on Netlify. At most *concurrency* runs go on at a time.

    Raises (on entering):
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
        self.path = path
        self.unknown: set[str] = set()
        """Names of workflows that unfinished runs belong to and nobody defines."""
        self._find = find
        self._durability: Durability = durability
        self._after = After.SUSPEND if replay == "always" else After.COMMIT
        self._concurrency = concurrency
        self._fast = fast
        self._resume = resume
        self._clock = clock or SystemClock()
        self._observe = observe
        self._live: dict[str, Live] = {}
        self._agenda = Agenda()
        self._running: set[asyncio.Task[None]] = set()
        self._waiting = Waiting()
        self._reserved = 0
        self._timer: Timer | None = None
        self._closing = False
        self._requests: set[asyncio.Future[None]] = set()

    # ------------------------------------------------------------ opening and closing

    async def __aenter__(self) -> Self:
        self._lease = Lease(self.path)
        try:
            self._store = RunStore(
                self.path, durability=self._durability, on_foreign=self._read_requests
            )
            self._take_up()
        except BaseException:
            self._lease.release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Break off what is running, which a later engine continues, and close the file."""
        self._closing = True
        if self._timer:
            self._timer.cancel()
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)
        self._waiting.give_up()
        await asyncio.to_thread(self._store.close)
        self._lease.release()

    # ------------------------------------------------------------ what can be asked of it

    async def submit(self, event: Event, *, key: str | None = None) -> Run:
        """
        Accept an event: its run is on disk when this returns, and begins when it is due.

        An event whose id is known starts nothing; the run it once started is returned.

        Raises:
            WorkflowNotFoundError: If no workflow has the event's name.
            PayloadError: If the data would not survive its way to a deployed workflow.
            StoreError: If it could not be stored.
        """
        workflow = self._find(event.name)
        if workflow is None:
            msg = f"no workflow is called {event.name!r}"
            raise WorkflowNotFoundError(msg)
        now = self._clock.now()
        due = now if self._fast else max(event.due or 0, now)
        begins = due <= now and self._has_room()
        run = Run(
            id=event.id,
            workflow=workflow.event_name,
            status=RunStatus.RUNNING if begins else RunStatus.QUEUED,
            data=check_travels(event.data, f"the data of event {event.name!r}"),
            due=due,
            priority=event.priority,
            created=now,
            started=now if begins else None,
            chain=event.chain,
            key=key,
        )
        self._reserved += begins
        try:
            is_new = await self._store.insert(run)
        finally:
            self._reserved -= begins
        if not is_new:
            return self.get(event.id)
        self._admit(Live(run, workflow, event))
        return run

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
            StoreError: If the store failed, so that no run can go on.
        """
        if run_id not in self._live:
            run = self.get(run_id)
            if run.status.is_final:
                return run
            raise self._not_taken_up(run)
        return await self._waiting.for_run(run_id)

    async def idle(self) -> None:
        """
        Wait until no run is going on and none is due; those that sleep may remain.

        Raises:
            StoreError: If the store failed, so that no run can go on.
        """
        if self._running or self._agenda.has_ready or self._waiting.failure:
            await self._waiting.for_quiet()

    async def stop(self, run_id: str) -> bool:
        """
        End a run: at once if it waits, at its next step or sleep if it is running.

        Returns False if it had already ended.

        Raises:
            RunNotFoundError: If there is none with this id.
        """
        live = self._live.get(run_id)
        if live is None:
            run = self.get(run_id)
            if run.status.is_final:
                return False
            raise self._not_taken_up(run)
        live.stopped = True
        if not live.busy:
            live.busy = True
            await self._end(live, RunStatus.CANCELLED)
        return True

    async def retry(self, run_id: str, *, from_start: bool = False) -> Run:
        """
        Run an ended run again, from its last finished step, or from the start.

        A step whose failure was caught, and all that came after it, is run again.

        Raises:
            RunNotFoundError: If there is none with this id.
            WorkflowNotFoundError: If its workflow is not defined any more.
        """
        run = self.get(run_id)
        if not run.status.is_final:
            return run
        workflow = self._find(run.workflow)
        if workflow is None:
            msg = f"no workflow is called {run.workflow!r} any more"
            raise WorkflowNotFoundError(msg)
        known = {} if from_start else self._store.reader.checkpoints(run_id)
        now = self._clock.now()
        await self._store.queue_again(run_id, before_failure(known), now)
        self._admit(Live(self.get(run_id), workflow))
        return self.get(run_id)

    def _not_taken_up(self, run: Run) -> WorkflowNotFoundError:
        msg = f"run {run.id} waits for its workflow {run.workflow!r}, which nobody defines here"
        return WorkflowNotFoundError(msg)

    # ------------------------------------------------------------ beginning

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
                self._live[run.id] = live = Live(replace(run, due=due), workflow)
                self._queue(live)
        self._read_requests()
        self._pump()

    def _admit(self, live: Live) -> None:
        self._live[live.run.id] = live
        if live.run.status is RunStatus.RUNNING:
            self._begin(live)
        else:
            self._queue(live)
            self._pump()

    def _queue(self, live: Live) -> None:
        now = self._clock.now()
        self._agenda.add(live.run.id, due=live.due, priority=live.run.priority, now=now)

    def _has_room(self) -> bool:
        taken = len(self._running) + self._reserved
        return taken < self._concurrency and not self._agenda.has_ready

    def _pump(self) -> None:
        """Begin what is due, and set the timer for what is due next."""
        if self._closing or self._waiting.failure:
            return
        now = self._clock.now()
        while len(self._running) < self._concurrency:
            run_id = self._agenda.take(now)
            if run_id is None:
                break
            live = self._live.get(run_id)
            if live is not None and not live.busy and live.due <= now:
                self._store.begin(run_id, now)
                live.run = replace(
                    live.run, status=RunStatus.RUNNING, started=live.run.started or now
                )
                self._begin(live)
        self._set_timer()
        if not self._running and not self._agenda.has_ready:
            self._waiting.quiet()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due = self._agenda.next_due
        if due is not None:
            self._timer = self._clock.call_at(due, self._pump)

    def _begin(self, live: Live) -> None:
        live.busy = True
        running = asyncio.create_task(self._invoke(live))
        self._running.add(running)
        running.add_done_callback(self._finished)

    def _finished(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        error = None if running.cancelled() else running.exception()
        if error is not None:
            self._waiting.fail(error)
        self._pump()

    # ------------------------------------------------------------ what became of a run

    async def _invoke(self, live: Live) -> None:
        """Carry out one invocation of a run, and store what it came to."""
        if live.event is None:
            live.wake(self._store.reader)
        now = self._clock.now()
        if live.stopped:
            return await self._end(live, RunStatus.CANCELLED)
        if live.deadline is not None and now >= live.deadline:
            return await self._end(live, RunStatus.FAILED, timed_out(live))
        self._tell(live, "run-started", attempt=live.run.attempt)
        invoking = Invoking(live, self._store, self._clock, self._after, self.send, self._observe)
        outcome = await invoking.outcome()
        if live.stopped and not isinstance(outcome, Completed):
            return await self._end(live, RunStatus.CANCELLED, kept=outcome.checkpoints)
        if invoking.timed_out:
            return await self._end(live, RunStatus.FAILED, timed_out(live))
        return await self._store_outcome(live, outcome)

    async def _store_outcome(self, live: Live, outcome: Outcome) -> None:
        now = self._clock.now()
        to_store = after(live.run, outcome, now, fast=self._fast)
        first = len(live.checkpoints)
        live.run = to_store.run
        attempt = to_store.attempt
        if attempt is not None:
            told = {"attempt": attempt.number, "error": attempt.failure.message}
            self._tell(live, "attempt-failed", retryIn=attempt.retry_in, **told)
        if live.run.status.is_final:
            await self._store.end(live.run, first, to_store.checkpoints, attempt)
            return self._ended(live)
        await self._store.wait(live.run, first, to_store.checkpoints, attempt)
        if live.run.status is RunStatus.SLEEPING:
            self._tell(live, "run-sleeps", dueAt=live.run.due)
        if live.stopped:
            return await self._end(live, RunStatus.CANCELLED)
        live.rest()
        return self._queue(live)

    async def _end(
        self,
        live: Live,
        status: RunStatus,
        failure: Failure | None = None,
        kept: tuple[Checkpoint, ...] = (),
    ) -> None:
        live.run = replace(live.run, status=status, ended=self._clock.now(), failure=failure)
        await self._store.end(live.run, len(live.checkpoints), kept)
        self._ended(live)

    def _ended(self, live: Live) -> None:
        del self._live[live.run.id]
        self._tell(live, "run-ended", status=live.run.status.value)
        self._waiting.ended(live.run)

    # ------------------------------------------------------------ other processes

    def _read_requests(self) -> None:
        """See to what another process has asked for in the file."""
        for run_id, what in self._store.reader.requests():
            self._store.answer(run_id, what)
            wanted = self.stop(run_id) if what == "stop" else self.retry(run_id)
            seeing = asyncio.ensure_future(_tolerant(wanted))
            self._requests.add(seeing)
            seeing.add_done_callback(self._requests.discard)

    def _tell(self, live: Live, what: str, **data: Any) -> None:
        if self._observe is not None:
            now = self._clock.now()
            self._observe(Progress(what, live.run.id, live.run.workflow, now, data))


async def _tolerant(wanted: Awaitable[object]) -> None:
    with suppress(WorkflowError):  # a request for a run that has gone meanwhile
        await wanted
