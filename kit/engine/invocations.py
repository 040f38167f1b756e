"""Invocations, one after another and side by side: carried out, and what they came to stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit.engine.advance import Next, after
from kit.engine.clock import Clock
from kit.engine.invoking import Invoking, SendOn, Watch, timed_out
from kit.engine.live import ActiveRun
from kit.engine.waiting import Waiting
from kit.model.delivery import AfterStep, Checkpoint, Completed, Outcome
from kit.model.errors import StoreError
from kit.model.progress import Progress, ProgressKind
from kit.model.run import RunStatus
from kit.store.sqlite.rows import DAMAGED
from kit.store.sqlite.runs import RunStore

_log = logging.getLogger("kit")

HAND_OVER_SECONDS = 2.0
"""How long a closing engine waits for runs of other processes to come to their next step."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """
    How a loop goes about its runs; see `Engine`.

    Raises:
        ValueError: If it has no room for a run.
    """

    clock: Clock
    after_step: AfterStep
    concurrency: int
    observe: Watch | None

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            msg = f"an engine needs room for at least one run, not for {self.concurrency}"
            raise ValueError(msg)


class Invocations:
    """
    Carries out invocations of *live* runs, and has them go on with *queue* or forgets them.

    *waiting* is told of what has ended. `unwinding` are handlers whose outcome is decided and that
    are still there; `set_aside` the runs whose checkpoints make no sense, and what is to be said of
    them. `refuse` tells who asked for one of those; `listen` hears who is to be stopped, now and
    then, and `look` in any case.
    """

    def __init__(
        self,
        store: RunStore,
        waiting: Waiting,
        live: dict[str, ActiveRun],
        queue: Callable[[ActiveRun], None],
        see_clock: Callable[[], None],
        send: SendOn,
        options: LoopOptions,
    ) -> None:
        self.closing = False
        self.set_aside: dict[str, StoreError] = {}
        self.refuse: Callable[[str], None] = lambda run_id: None
        self.listen: Callable[[], None] = lambda: None
        self.look: Callable[[], None] = lambda: None
        self.unwinding: set[asyncio.Task[None]] = set()
        self._store = store
        self._waiting = waiting
        self._live = live
        self._queue = queue
        self._see_clock = see_clock
        self._send = send
        self._options = options
        self._clock = options.clock
        self._invoking: set[Invoking] = set()

    async def carry_out(self, live: ActiveRun) -> None:
        """Carry out one invocation of a run, and store what it came to."""
        if live.event is None:
            self.look()
        if live.stopped:
            return await self._cancel(live)
        if self.closing or self._waiting.failure:
            return None
        if live.deadline is not None and self._clock.now() >= live.deadline:
            return await self._time_out(live)
        if live.event is None and not self._wakes(live):
            return None
        return await self._go_on(live)

    async def _go_on(self, live: ActiveRun) -> None:
        self._store.write_along(live.run.id, live.record.wake(self._clock.now(), fast=live.fast))
        self._tell(live, ProgressKind.RUN_STARTED, attempt=live.run.attempt)
        how = self._options
        given = (self._clock, how.after_step, self._send, self.listen, how.observe)
        invoking = Invoking(live, self._store, *given)
        outcome = await self._outcome(invoking)
        if not isinstance(outcome, Completed):
            self._see_clock()
        if live.stopped:
            return await self._cancel(live, outcome.checkpoints)
        if invoking.timed_out:
            return await self._time_out(live)
        return await self._store_outcome(live, outcome)

    def _wakes(self, live: ActiveRun) -> bool:
        """Get at hand what an invocation needs; set the run aside if that makes no sense."""
        try:
            live.wake(self._store.reader)
        except StoreError as error:
            if error.code != DAMAGED:
                raise
            _log.error("a run is set aside: %s", error)
            del self._live[live.run.id]
            self.set_aside[live.run.id] = error
            self._waiting.fail_run(live.run.id, error)
            if not live.own:
                self.refuse(live.run.id)
            return False
        return True

    async def _outcome(self, invoking: Invoking) -> Outcome:
        self._invoking.add(invoking)
        try:
            return await invoking.outcome()
        finally:
            self._invoking.discard(invoking)
            if not invoking.execution.done():
                self.unwinding.add(invoking.execution)
                invoking.execution.add_done_callback(self.unwinding.discard)

    async def _store_outcome(self, live: ActiveRun, outcome: Outcome) -> None:
        to_store = after(live.run, outcome, self._clock.now(), fast=live.fast)
        live.run = to_store.run
        attempt = to_store.attempt
        if attempt is not None:
            told = {"attempt": attempt.number, "error": attempt.failure.message}
            self._tell(live, ProgressKind.ATTEMPT_FAILED, retryIn=attempt.retry_in, **told)
        if live.run.status.is_final:
            return await self._end_unless_stopped(live, to_store)
        return await self._store_wait(live, to_store)

    async def _store_wait(self, live: ActiveRun, to_store: Next) -> None:
        record, now = live.record, self._clock.now()
        record.forget(to_store.forgotten)
        record.keep(to_store.checkpoints)
        asleep = None if to_store.sleeps is None else record.fall_asleep(to_store.sleeps, now)
        await self._store.wait(
            live.run, to_store.checkpoints, to_store.forgotten, to_store.attempt, asleep=asleep
        )
        if live.run.status is RunStatus.SLEEPING:
            self._tell(live, ProgressKind.RUN_SLEEPS, dueAt=live.run.due, asleep=to_store.asleep)
        if live.stopped:
            return await self._cancel(live)
        if live.due > now:
            live.rest()
        live.busy = live.pausing = False
        return self._queue(live)

    async def _end_unless_stopped(self, live: ActiveRun, how: Next) -> None:
        """
        Store that a run has ended, or that it is cancelled.

        Whichever is on the file first counts, its end or the request to stop it: who has stopped
        it was told that it would end so.
        """
        if await self._store.end(live.run, how.checkpoints, how.forgotten, how.attempt):
            return self._ended(live)
        return await self._cancel(live)

    async def _time_out(self, live: ActiveRun) -> None:
        now, failed = self._clock.now(), RunStatus.FAILED
        live.run = live.run._replace(status=failed, ended=now, failure=timed_out(live))
        await self._end_unless_stopped(live, Next(live.run))

    async def _cancel(self, live: ActiveRun, kept: tuple[Checkpoint, ...] = ()) -> None:
        now, cancelled = self._clock.now(), RunStatus.CANCELLED
        live.run = live.run._replace(status=cancelled, ended=now, result=None, failure=None)
        await self._store.end(live.run, kept)
        self._ended(live)

    def _ended(self, live: ActiveRun) -> None:
        del self._live[live.run.id]
        self._tell(live, ProgressKind.RUN_ENDED, status=live.run.status.value)
        self._waiting.ended(live.run)

    def _tell(self, live: ActiveRun, what: ProgressKind, **data: Any) -> None:
        if self._options.observe is not None:
            run, now = live.run, self._clock.now()
            self._options.observe(Progress(what, run.id, run.workflow, now, data, live.own))

    async def break_off(self) -> None:
        """
        End what goes on.

        What is executed for others may come to its next step or sleep, for `HAND_OVER_SECONDS`.
        """
        foreign = [each.pause() for each in self._invoking if not each.is_own]
        if foreign and not self._waiting.failure:  # else they could store nothing
            await asyncio.wait(foreign, timeout=HAND_OVER_SECONDS)
        for invoking in self._invoking:
            invoking.break_off()
