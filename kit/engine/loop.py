"""
The loop: what is due begins, what has run is stored, and nothing polls.

Due times sit in a heap with one timer; a new run, a finished invocation or a due time wakes the
loop, which begins as many runs as it has room for. What an invocation came to is stored in one
transaction before anything is done about it, so a process may end at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kit.engine.advance import after
from kit.engine.agenda import Agenda
from kit.engine.clock import Clock, Timer
from kit.engine.invoking import Invoking, SendOn, Watch, timed_out
from kit.engine.live import ActiveRun
from kit.engine.waiting import Waiting
from kit.execution.tasks import apart
from kit.model.delivery import AfterStep, Checkpoint, Completed, Outcome
from kit.model.errors import StoreError
from kit.model.failure import Failure
from kit.model.progress import Progress, ProgressKind
from kit.model.run import RunStatus
from kit.model.workflow import AnyWorkflow
from kit.store.sqlite.rows import DAMAGED
from kit.store.sqlite.runs import RunStore

_log = logging.getLogger("kit")

HAND_OVER_SECONDS = 2.0
"""How long a closing engine waits for runs of other processes to come to their next step."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a loop goes about its runs; see `Engine`."""

    clock: Clock
    after_step: AfterStep
    concurrency: int
    observe: Watch | None


class Loop:
    """
    The unfinished runs of one store, `live` by their ids, and what becomes of them; `arriving` are
    those that are being stored.

    *waiting* is told of what has ended, and of a store that failed: nothing begins after that.
    """

    def __init__(
        self, store: RunStore, waiting: Waiting, send: SendOn, options: LoopOptions
    ) -> None:
        self.live: dict[str, ActiveRun] = {}
        self.arriving: dict[str, asyncio.Future[int]] = {}
        self.closing = False
        self.all_own = True
        self.is_quiet_elsewhere: Callable[[], bool] = lambda: True
        self._store = store
        self._waiting = waiting
        self._send = send
        self._options = options
        self._clock = options.clock
        self._agenda = Agenda()
        self._running: dict[asyncio.Task[None], ActiveRun] = {}
        self._fallen: dict[str, ActiveRun] = {}
        self._invoking: set[Invoking] = set()
        self._unwinding: set[asyncio.Task[Outcome]] = set()
        self._reserved = 0
        self._lent = 0
        self._timer: Timer | None = None
        self._timer_due: int | None = None

    def has(self, run_id: str) -> bool:
        """Tell whether a run is live, or about to be."""
        return run_id in self.live or run_id in self.arriving

    def reserve(self) -> bool:
        """Keep room for a run that is about to be stored; False if it has to queue."""
        if self._agenda.has_ready or not self._has_room:
            return False
        self._reserved += 1
        return True

    def release(self) -> None:
        """Give up what `reserve` kept."""
        self._reserved -= 1
        self.pump()

    def admit(self, live: ActiveRun) -> None:
        """Take on a run that is stored. One that runs by then has room reserved for it."""
        if self.closing:
            return  # it is on disk, where a later engine finds it
        self.live[live.run.id] = live
        if live.run.status is RunStatus.RUNNING:
            self._reserved -= 1
            self._begin(live)
        else:
            self.queue(live)
            self.pump()

    def take_up(self, live: ActiveRun) -> None:
        """Take on a run that was stored before; `pump` then begins it if it is due."""
        self.live[live.run.id] = live
        self.all_own = self.all_own and live.own
        self.queue(live)

    def reload(self, find: Callable[[str], AnyWorkflow | None]) -> None:
        """Go on with the workflows that *find* gives: an invocation ends at its next step."""
        for live in self.live.values():
            found = find(live.run.workflow)
            if found is not None and found is not live.workflow:
                live.workflow = found
                live.pausing = live.busy
                if not live.busy:
                    self.queue(live)  # its time may be up sooner

    def queue(self, live: ActiveRun) -> None:
        """Put a run on the agenda."""
        now = self._clock.now()
        self._agenda.add(live.run.id, due=live.due, priority=live.run.priority, now=now)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of its own is going on and nothing is known to be due."""
        if not (self._running or self._reserved or self._agenda.has_ready):
            return True
        if self._reserved or self._foreign == 0:
            return False
        now = self._clock.now()
        return not any(each.own and (each.busy or each.due <= now) for each in self.live.values())

    @property
    def is_all_quiet(self) -> bool:
        """Whether that holds for what other processes execute for this one, too."""
        return self.is_quiet and self.is_quiet_elsewhere()

    @property
    def _foreign(self) -> int:
        return 0 if self.all_own else sum(not each.own for each in self.live.values())

    @property
    def _has_room(self) -> bool:
        taken = len(self._running) + self._reserved - self._lent
        return taken < self._options.concurrency

    @contextlib.contextmanager
    def lends(self, run_id: str | None) -> Iterator[None]:
        """Let others have the place of a run that, meanwhile, waits for another one's end."""
        live = self.live.get(run_id or "")
        if live is None or not live.busy:
            yield
            return
        self._lent += 1
        self.pump()
        try:
            yield
        finally:
            self._lent -= 1

    def pump(self) -> None:
        """Begin what is due, and set the timer for what is due next."""
        if self.closing or self._waiting.failure:
            return
        now = self._clock.now()
        self._agenda.ripen(now)
        while self._has_room:
            run_id = self._agenda.take()
            if run_id is None:
                break
            live = self.live.get(run_id)
            if live is not None and not live.busy and live.due <= now:
                self._store.begin(run_id, now)
                live.run = replace(
                    live.run, status=RunStatus.RUNNING, started=live.run.started or now
                )
                self._begin(live)
        self._set_timer()
        if self.is_all_quiet:
            self._waiting.quiet()

    def _set_timer(self) -> None:
        due = self._agenda.next_due
        if due == self._timer_due:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._clock.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = self._timer_due = None
        self.pump()

    def _begin(self, live: ActiveRun) -> asyncio.Task[None]:
        live.busy = True
        running = asyncio.create_task(self._invoke(live), context=apart())
        self._running[running] = live
        running.add_done_callback(self._finished)
        return running

    def _finished(self, running: asyncio.Task[None]) -> None:
        live = self._running.pop(running)
        if running.cancelled():
            return  # so is all else: the engine or the event loop is closing
        error = running.exception()
        if error is not None:
            self._fallen[live.run.id] = live
            self._waiting.fail(error)
        self.pump()

    def recover(self) -> dict[str, ActiveRun]:
        """Forget the runs that could not be stored, whose truth is on disk, and return them."""
        fallen, self._fallen = self._fallen, {}
        for run_id in fallen:
            self.live.pop(run_id, None)
        return fallen

    async def _invoke(self, live: ActiveRun) -> None:
        """Carry out one invocation of a run, and store what it came to."""
        if live.stopped:
            return await self._end(live, RunStatus.CANCELLED)
        if self.closing or self._waiting.failure:
            return None
        if live.deadline is not None and self._clock.now() >= live.deadline:
            return await self._end(live, RunStatus.FAILED, timed_out(live))
        if live.event is None and not self._wakes(live):
            return None
        self._store.write_along(live.run.id, live.record.wake(self._clock.now(), fast=live.fast))
        self._tell(live, ProgressKind.RUN_STARTED, attempt=live.run.attempt)
        how = self._options
        observe = how.observe if live.own else None
        invoking = Invoking(live, self._store, self._clock, how.after_step, self._send, observe)
        outcome = await self._outcome(invoking)
        if live.stopped and not isinstance(outcome, Completed):
            return await self._end(live, RunStatus.CANCELLED, kept=outcome.checkpoints)
        if invoking.timed_out:
            return await self._end(live, RunStatus.FAILED, timed_out(live))
        return await self._store_outcome(live, outcome)

    def _wakes(self, live: ActiveRun) -> bool:
        """Get at hand what an invocation needs; set the run aside if that makes no sense."""
        try:
            live.wake(self._store.reader)
        except StoreError as error:
            if error.code != DAMAGED:
                raise
            _log.error("a run is set aside: %s", error)
            del self.live[live.run.id]
            self._waiting.fail_run(live.run.id, error)
            return False
        return True

    async def _outcome(self, invoking: Invoking) -> Outcome:
        self._invoking.add(invoking)
        try:
            return await invoking.outcome()
        finally:
            self._invoking.discard(invoking)
            if not invoking.execution.done():
                self._unwinding.add(invoking.execution)
                invoking.execution.add_done_callback(self._unwinding.discard)

    async def _store_outcome(self, live: ActiveRun, outcome: Outcome) -> None:
        to_store = after(live.run, outcome, self._clock.now(), fast=live.fast)
        live.run = to_store.run
        attempt = to_store.attempt
        if attempt is not None:
            told = {"attempt": attempt.number, "error": attempt.failure.message}
            self._tell(live, ProgressKind.ATTEMPT_FAILED, retryIn=attempt.retry_in, **told)
        if live.run.status.is_final:
            await self._store.end(
                live.run,
                to_store.checkpoints,
                to_store.forgotten,
                attempt,
                answered=live.stopped,
            )
            return self._ended(live)
        record, now = live.record, self._clock.now()
        record.forget(to_store.forgotten)
        record.keep(to_store.checkpoints)
        asleep = None if to_store.sleeps is None else record.fall_asleep(to_store.sleeps, now)
        await self._store.wait(
            live.run, to_store.checkpoints, to_store.forgotten, attempt, asleep=asleep
        )
        if live.run.status is RunStatus.SLEEPING:
            self._tell(live, ProgressKind.RUN_SLEEPS, dueAt=live.run.due, asleep=to_store.asleep)
        if live.stopped:
            return await self._end(live, RunStatus.CANCELLED)
        if live.due > now:
            live.rest()
        live.busy = live.pausing = False
        return self.queue(live)

    async def _end(
        self,
        live: ActiveRun,
        status: RunStatus,
        failure: Failure | None = None,
        kept: tuple[Checkpoint, ...] = (),
    ) -> None:
        live.run = replace(live.run, status=status, ended=self._clock.now(), failure=failure)
        await self._store.end(live.run, kept, answered=live.stopped)
        self._ended(live)

    def _ended(self, live: ActiveRun) -> None:
        del self.live[live.run.id]
        self._tell(live, ProgressKind.RUN_ENDED, status=live.run.status.value)
        self._waiting.ended(live.run)

    def _tell(self, live: ActiveRun, what: ProgressKind, **data: Any) -> None:
        if self._options.observe is not None and live.own:
            now = self._clock.now()
            self._options.observe(Progress(what, live.run.id, live.run.workflow, now, data))

    async def stop(self, live: ActiveRun) -> None:
        """End a run: at once if it waits, at its next step or sleep if it is running."""
        live.stopped = True
        if not live.busy:
            await asyncio.shield(self._begin(live))  # whoever asked may give up waiting

    async def close(self) -> None:
        """
        Break off what is running; return once it has unwound and all outcomes are stored.

        What is executed for others may come to its next step or sleep, for `HAND_OVER_SECONDS`.
        """
        self.closing = True
        if self._timer:
            self._timer.cancel()
        foreign = [each.pause() for each in self._invoking if not each.is_own]
        if foreign:
            await asyncio.wait(foreign, timeout=HAND_OVER_SECONDS)
        for invoking in self._invoking:
            invoking.break_off()
        if self._running:
            await asyncio.wait(list(self._running))
        if self._unwinding:
            await asyncio.wait(self._unwinding)
