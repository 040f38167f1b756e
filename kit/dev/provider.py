"""The provider of code that runs within `kit dev`: what it starts are runs of this very server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from kit.client.provider import Receipt
from kit.client.sending import OnConflict
from kit.dev.local import LocalRuns
from kit.model.event import Event
from kit.model.run import Run, RunDetails, RunStatus

T = TypeVar("T")


class DevProvider:
    """
    The provider `local` over the runs of the server, which belong to the loop it was made on.

    It may be used from any thread and any other loop.
    """

    name = "local"
    needs_definition = True

    def __init__(self, runs: LocalRuns) -> None:
        self._runs = runs
        self._loop = asyncio.get_running_loop()

    async def send(
        self, event: Event, *, key: str | None = None, on_conflict: OnConflict = "keep"
    ) -> Receipt:
        """Store the event's run; it begins when it is due. The store always tells if it existed."""
        run, is_new = await self._there(self._runs.driving.submit(event, key=key))
        return Receipt(run, not is_new, run.data)

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Store several runs; the store commits them together."""
        sends = (self.send(event) for event in events)
        results = await asyncio.gather(*sends, return_exceptions=True)
        return [each if isinstance(each, Exception) else None for each in results]

    async def find(self, run_id: str) -> Run | None:
        """Return the run, or None."""
        found = await self._there(self._runs.driving.details(run_id))
        return None if found is None else found.run

    async def status(self, run_id: str) -> RunStatus | None:
        """Return where the run is, or None."""
        run = await self.find(run_id)
        return None if run is None else run.status

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """Return the latest runs, newest first."""
        return await self._there(
            self._runs.driving.latest(workflow=workflow, statuses=statuses, limit=limit)
        )

    async def wait(self, run_id: str) -> Run:
        """Wait until the run has ended."""
        return await self._there(self._runs.driving.wait(run_id))

    async def standing(self, run_id: str) -> Run | str:
        """Say how the run stands, and who drives it; or return it, if it has ended."""
        return self._runs.driving.standing(run_id)

    async def stop(self, run_id: str) -> bool:
        """End the run at its next step or sleep."""
        return await self._there(self._runs.stop(run_id))

    async def details(self, run_id: str) -> RunDetails:
        """Return the run with its steps and failed attempts."""
        return await self._there(self._runs.driving.get_details(run_id))

    async def resume(self) -> None:
        """Do nothing: the server has taken up every run."""

    async def close(self) -> None:
        """Do nothing: the server closes what is its own."""

    async def _there(self, doing: Coroutine[Any, Any, T]) -> T:
        """Await *doing* on the server's loop."""
        if asyncio.get_running_loop() is self._loop:
            return await doing
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self._loop))
