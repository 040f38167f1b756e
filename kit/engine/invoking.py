"""One invocation of a run: `execute`, its time limit, and a store that may fail meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from kit.engine.clock import Clock, Stopwatch, Timer
from kit.engine.live import ActiveRun, StoreCheckpointer
from kit.execution.execute import LINGER_SECONDS, execute
from kit.model.delivery import AfterStep, Delivery, Failed, Outcome, Suspended
from kit.model.errors import RunTimedOut
from kit.model.event import Event
from kit.model.failure import Failure, failure_of
from kit.model.progress import Progress, ProgressKind
from kit.store.sqlite.runs import RunStore

Watch = Callable[[Progress], None]
SendOn = Callable[[Event, ActiveRun], Awaitable[None]]
"""Accepts an event that a run has sent."""


class Invoking:
    """
    One invocation of *live*; `timed_out` tells afterwards whether the run's time was up.

    What it comes to is decided once: by the handler, by the time limit, or by a store that fails.
    A handler that is still there then unwinds behind its back, as `execution`, for as long as it
    takes; nothing it does is stored any more.
    """

    def __init__(
        self,
        live: ActiveRun,
        store: RunStore,
        clock: Clock,
        after_step: AfterStep,
        send: SendOn,
        listen: Callable[[], None],
        observe: Watch | None,
    ) -> None:
        self.timed_out = False
        self._live = live
        self._clock = clock
        self._time = Stopwatch(clock)
        self._clock_set = live.clock_set
        self._send_on = send
        self._observe = observe
        self._decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._checkpointer = StoreCheckpointer(live, store, after_step, self._fail, listen)
        self._timer: Timer | None = None
        assert live.event is not None  # noqa: S101 - a run is woken before it is invoked
        delivery = live.record.delivery(live.event, live.run.attempt)
        self.execution = asyncio.create_task(self._execute(delivery))
        self.execution.add_done_callback(self._executed)

    async def outcome(self) -> Outcome:
        """
        Return what the invocation comes to.

        Raises:
            StoreError: If something could not be stored; the run is as it was on disk.
            CancelledError: If it was broken off.
        """
        self._set_limit()
        try:
            return self._in_time(await self._decided)
        finally:
            self._checkpointer.close()
            if self._timer:
                self._timer.cancel()
            self.break_off()

    @property
    def is_own(self) -> bool:
        """Whether the run is not executed for another process."""
        return self._live.own

    def pause(self) -> asyncio.Future[Outcome]:
        """Let it end at its next step or sleep; return what is done when it has."""
        self._live.pausing = True
        return self._decided

    def break_off(self) -> None:
        """End it wherever it is; once, for it then unwinds, which is not to be broken off."""
        if not self.execution.cancelling():
            self.execution.cancel()

    async def _execute(self, delivery: Delivery) -> None:
        outcome = await execute(
            self._live.workflow,
            delivery,
            self._checkpointer,
            now=self._time.now,
            send=self._send,
            observe=None if self._observe is None else self._tell,
            linger=LINGER_SECONDS if self._live.fast else None,
        )
        if not self._decided.done():  # here, not in `_executed`: that is a turn of the loop later
            self._decided.set_result(outcome)

    def _executed(self, execution: asyncio.Task[None]) -> None:
        """Decide it if that has not been done: the execution was broken off, or is broken."""
        if execution.cancelled():
            self._decided.cancel()
        elif (error := execution.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._decided.done():
            self._decided.set_exception(error)

    def _in_time(self, outcome: Outcome) -> Outcome:
        """Return *outcome* as it is after the clock was set: sleeps are as long as they were."""
        if not isinstance(outcome, Suspended) or not (jump := self._time.jumped()):
            return outcome
        moved = [each._replace(due=each.due + jump * (not each.until)) for each in outcome.sleeps]
        return outcome._replace(sleeps=tuple(moved))

    async def _send(self, event: Event) -> None:
        if event.is_delayed and event.due is not None:
            event = replace(event, due=event.due + self._time.jumped())
        await self._checkpointer.stored(self._send_on, event, self._live)

    def _set_limit(self) -> None:
        left = self._time_left
        if left is not None:
            self._timer = self._clock.call_at(self._clock.now() + left, self._check_limit)

    @property
    def _time_left(self) -> int | None:
        """Milliseconds until the run's time is up, as the stopwatch has it; None: it never is."""
        if self._live.deadline is None:
            return None
        was_set = self._live.clock_set - self._clock_set
        return self._live.deadline - was_set - self._time.now()

    def _check_limit(self) -> None:
        left = self._time_left
        if left is None or left > 0:
            self._set_limit()
        elif not self._decided.done():
            self.timed_out = True
            self._decided.set_result(Failed(timed_out(self._live), None))

    def _tell(self, what: ProgressKind, data: Mapping[str, Any]) -> None:
        run, now = self._live.run, self._clock.now()
        if self._observe is not None:
            self._observe(Progress(what, run.id, run.workflow, now, data, self._live.own))


def timed_out(live: ActiveRun) -> Failure:
    """Return the failure of a run whose time is up."""
    msg = f"the run took longer than the timeout of {live.run.workflow!r}: {live.workflow.timeout}"
    return failure_of(RunTimedOut(msg, run_id=live.run.id))
