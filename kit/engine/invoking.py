"""One invocation of a run: `execute`, its time limit, and a store that may fail meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from kit.engine.clock import Clock, Timer
from kit.engine.live import Keeper, Live
from kit.envelope import failure_of
from kit.errors import RunTimedOut
from kit.execution import execute
from kit.invocation import Send
from kit.run import After, Delivery, Failed, Failure, Outcome, Progress
from kit.store import RunStore

Watch = Callable[[Progress], None]


class Invoking:
    """One invocation of *live*; `timed_out` tells afterwards whether the run's time was up."""

    def __init__(
        self,
        live: Live,
        store: RunStore,
        clock: Clock,
        after_step: After,
        send: Send,
        observe: Watch | None,
    ) -> None:
        self.timed_out = False
        self._live = live
        self._clock = clock
        self._send = send
        self._observe = observe
        self._keeper = Keeper(live, store, after_step)
        self._timer: Timer | None = None

    async def outcome(self) -> Outcome:
        """
        Execute, and return what it came to.

        Raises:
            StoreError: If a checkpoint could not be stored; the run is as it was on disk.
        """
        live = self._live
        assert live.event is not None  # noqa: S101 - a run is woken before it is invoked
        live.invocation = asyncio.create_task(
            execute(
                live.workflow,
                Delivery(live.event, live.run.attempt, dict(live.checkpoints)),
                self._keeper,
                now=self._clock.now,
                send=self._send,
                observe=self._tell if self._observe else None,
            )
        )
        self._set_limit()
        try:
            return await live.invocation
        except asyncio.CancelledError:
            return await self._broken_off(live.invocation)
        finally:
            live.invocation = None
            if self._timer:
                self._timer.cancel()

    async def _broken_off(self, invocation: asyncio.Task[Outcome]) -> Outcome:
        if self._keeper.failure:
            raise self._keeper.failure
        if self.timed_out:
            return Failed(timed_out(self._live), None)
        invocation.cancel()  # the engine is closing
        await asyncio.wait([invocation])
        raise asyncio.CancelledError

    def _set_limit(self) -> None:
        if self._live.deadline is not None:
            self._timer = self._clock.call_at(self._live.deadline, self._check_limit)

    def _check_limit(self) -> None:
        deadline = self._live.deadline
        self.timed_out = deadline is not None and self._clock.now() >= deadline
        if not self.timed_out:
            self._set_limit()
        elif self._live.invocation:
            self._live.invocation.cancel()

    def _tell(self, what: str, data: Mapping[str, Any]) -> None:
        run = self._live.run
        if self._observe:
            self._observe(Progress(what, run.id, run.workflow, self._clock.now(), data))


def timed_out(live: Live) -> Failure:
    """Return the failure of a run whose time is up."""
    msg = f"the run took longer than the timeout of {live.run.workflow!r}: {live.workflow.timeout}"
    return failure_of(RunTimedOut(msg, run_id=live.run.id))
