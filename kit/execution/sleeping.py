"""
The sleeps that a handler is in.

An invocation ends where all sleep. One in which a branch is busy elsewhere goes on beside them:
what it does outside of steps would have to be done again. A sleep that is over by then ends in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from kit.execution.runner import Runner
from kit.execution.turns import Turns
from kit.model.delivery import AfterStep, Sleep

UNSTORED_SECONDS = 300.0
"""
How long a sleep may be under way, in an invocation that goes on, until that is stored.

If the process ends before, as much is slept again; to store it, as much is done again outside of
steps.
"""


class Sleeping:
    """The sleeps of one invocation: `under_way`, by step id."""

    def __init__(
        self,
        turns: Turns,
        runner: Runner,
        now: Callable[[], int],
        linger: float | None,
        stored: Container[str],
    ) -> None:
        self.under_way: dict[str, Sleep] = {}
        self.has_lingered = False  # long enough, so that the invocation ends
        self._over: dict[str, asyncio.Future[None]] = {}
        self._since: dict[str, float] = {}  # by the loop's time, those that are not stored
        self._stored = stored
        self._turns, self._runner, self._now = turns, runner, now
        self._linger = float("inf") if linger is None else linger

    async def through(self, sleep: Sleep) -> None:
        """Sleep until the invocation is over; or only the sleep, if that is sooner."""
        began, gate = self._now(), self._turns.gate
        over = self._over[sleep.step_id] = gate.loop.create_future()
        self.under_way[sleep.step_id] = sleep
        if sleep.step_id not in self._stored:
            self._since[sleep.step_id] = gate.loop.time()
        try:
            await gate.stay(over)
        except asyncio.CancelledError as error:
            if not gate.over:
                self._forget(sleep.step_id)
                self._runner.cut_off(sleep.step_id, error, began)
                await self._turns.answer_cut_off()
            raise
        self._forget(sleep.step_id)
        await self._runner.wake(sleep)

    def _forget(self, step_id: str) -> None:
        del self.under_way[step_id], self._over[step_id]
        self._since.pop(step_id, None)

    def lasts(self) -> float | None:
        """Return for how many seconds nothing that sleeps wakes; None if nothing sleeps."""
        if not self.under_way:
            return None
        return (min(each.due for each in self.under_way.values()) - self._now()) / 1000

    def may_end(self) -> bool:
        """
        Tell whether the invocation may end though a branch is busy elsewhere; end what is over.

        It is to end if there is something to store first, if it cannot store that a sleep is over,
        or if it has gone on for long enough.
        """
        if not self.under_way:
            return False
        gate = self._turns.gate
        self.has_lingered = gate.all_wait or gate.busy_for >= self._linger
        if self.has_lingered or self._runner.has_something:
            return True
        over = self._over_by(self._now())
        if self._runner.after_step is not AfterStep.COMMIT:
            return bool(over)
        for each in over:
            if not each.done():
                each.set_result(None)
        since = min(self._since.values(), default=float("inf"))
        return not over and gate.loop.time() - since >= UNSTORED_SECONDS

    def _over_by(self, now: int) -> list[asyncio.Future[None]]:
        dues = sorted((each.due, step_id) for step_id, each in self.under_way.items())
        return [self._over[step_id] for due, step_id in dues if due <= now]
