"""
The sleeps that a handler is in.

An invocation ends where all sleep. One in which a branch is busy elsewhere goes on beside them:
what it does outside of steps would have to be done again. A sleep that is over by then ends in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kit.execution.runner import Runner
from kit.execution.turns import Turns
from kit.model.delivery import AfterStep, Sleep


class Sleeping:
    """The sleeps of one invocation: `under_way`, by step id."""

    def __init__(
        self,
        turns: Turns,
        runner: Runner,
        now: Callable[[], int],
        linger: float | None,
    ) -> None:
        self.under_way: dict[str, Sleep] = {}
        self._over: dict[str, asyncio.Future[None]] = {}
        self._turns, self._runner, self._now = turns, runner, now
        self._linger = float("inf") if linger is None else linger

    async def through(self, sleep: Sleep) -> None:
        """Sleep until the invocation is over; or only the sleep, if that is sooner."""
        began, gate = self._now(), self._turns.gate
        over = self._over[sleep.step_id] = gate.loop.create_future()
        self.under_way[sleep.step_id] = sleep
        try:
            await gate.stay(over)
        except asyncio.CancelledError as error:
            if not gate.over:
                del self.under_way[sleep.step_id], self._over[sleep.step_id]
                self._runner.cut_off(sleep.step_id, error, began)
                await self._turns.answer_cut_off()
            raise
        del self.under_way[sleep.step_id], self._over[sleep.step_id]
        await self._runner.wake(sleep)

    def may_end(self) -> bool:
        """
        Tell whether the invocation may end though a branch is busy elsewhere; end what is over.

        It is to end if there is something to store first, if it cannot store that a sleep is over,
        or if it has gone on for long enough.
        """
        if not self.under_way:
            return False
        gate = self._turns.gate
        if self._runner.has_something or gate.all_wait or gate.busy_for >= self._linger:
            return True
        over = self._over_by(self._now())
        if self._runner.after_step is not AfterStep.COMMIT:
            return bool(over)
        for each in over:
            if not each.done():
                each.set_result(None)
        return False

    def _over_by(self, now: int) -> list[asyncio.Future[None]]:
        dues = sorted((each.due, step_id) for step_id, each in self.under_way.items())
        return [self._over[step_id] for due, step_id in dues if due <= now]

    @property
    def soonest(self) -> float | None:
        """In how many seconds the first one is over."""
        dues = [each.due for each in self.under_way.values()]
        return max(0, min(dues) - self._now()) / 1000 if dues else None
