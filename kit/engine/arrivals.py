"""Runs on their way to the disk: what is known of them meanwhile, and what follows."""

from __future__ import annotations

import asyncio
from functools import partial

from kit.engine.driving import Driving
from kit.engine.live import ActiveRun
from kit.engine.loop import Loop
from kit.model.run import RunStatus
from kit.store.sqlite.runs import Ask


class Arrivals:
    """
    Runs that are being stored; each is executed, or asked for, once it is on disk.

    That happens even if whoever brought it does not wait until then.
    """

    def __init__(self, loop: Loop, driving: Driving) -> None:
        self._loop = loop
        self._driving = driving
        self._arriving = loop.arriving

    @property
    def are_expected(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._arriving)

    async def of(self, run_id: str) -> None:
        """Wait until nothing of this id is on its way."""
        while run_id in self._arriving:
            await asyncio.wait([self._arriving[run_id]])

    async def follow(self, live: ActiveRun, ask: Ask | None, stored: asyncio.Future[int]) -> int:
        """
        Execute a run once it is *stored*, or wish to see it end if somebody is asked to.

        Returns 0 if storing it has changed nothing.
        """
        self._arriving[live.run.id] = stored
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        stored.add_done_callback(partial(self._stored, live, ask, answer))
        return await answer

    def _stored(
        self,
        live: ActiveRun,
        ask: Ask | None,
        answer: asyncio.Future[int],
        stored: asyncio.Future[int],
    ) -> None:
        del self._arriving[live.run.id]
        error = stored.exception()
        if not answer.done():  # else whoever brought it has gone
            if error is None:
                answer.set_result(stored.result())
            else:
                answer.set_exception(error)
        if error is None and stored.result():
            if ask is None:
                self._loop.admit(live)
            else:
                self._driving.asked(live.run.id, ask)
        elif live.run.status is RunStatus.RUNNING:
            self._loop.release()
