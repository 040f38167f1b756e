"""
Runs on this machine: the embedded engine, on the background loop, on the file of the settings.

The engine opens at the first use. It executes what this process starts or waits for, or has the
process do so that drives the runs already; see `engine.driving`. What an earlier process left
unfinished it takes up when it is told to `resume`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kit.client import background
from kit.client.provider import Receipt
from kit.client.sending import OnConflict
from kit.engine.engine import Engine
from kit.engine.retention import milliseconds
from kit.model.event import Event
from kit.model.run import Run, RunDetails, RunStatus
from kit.project.catalog import Catalog
from kit.project.config import Config
from kit.store.sqlite.reader import Reader


class LocalProvider:
    """The provider `local`."""

    name = "local"
    needs_definition = True

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._settings = config.get_workflow()
        self._catalog = catalog
        self._engine: Engine | None = None
        self._opening: asyncio.Lock | None = None
        background.begins_afresh(self)

    def begin_afresh(self) -> None:
        """Leave the engine to the process that forked this one; see `background`."""
        background.abandon(self._engine, self._opening)
        self._engine = self._opening = None

    async def send(
        self, event: Event, *, key: str | None = None, on_conflict: OnConflict = "keep"
    ) -> Receipt:
        """Store the event's run; it begins when it is due. The store always tells if it existed."""
        return await background.run(self._send(event, key))

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Store several runs; the store commits them together."""
        sends = (self.send(event) for event in events)
        results = await asyncio.gather(*sends, return_exceptions=True)
        return [each if isinstance(each, Exception) else None for each in results]

    async def find(self, run_id: str) -> Run | None:
        """Return the run, or None."""
        return await background.run(self._find(run_id))

    async def status(self, run_id: str) -> RunStatus | None:
        """Return where the run is, or None."""
        run = await self.find(run_id)
        return None if run is None else run.status

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """Return the latest runs, newest first."""
        return await asyncio.to_thread(self._latest, workflow, statuses, limit)

    async def wait(self, run_id: str) -> Run:
        """Wait until the run has ended."""
        return await background.run(self._wait(run_id))

    async def standing(self, run_id: str) -> Run | str:
        """Say in words how the run stands, and who drives it; or return it, if it has ended."""
        return await background.run(self._standing(run_id))

    async def stop(self, run_id: str) -> bool:
        """End the run at its next step or sleep."""
        return await background.run(self._stop(run_id))

    async def details(self, run_id: str) -> RunDetails:
        """Return the run with its steps and failed attempts."""
        return await asyncio.to_thread(self._details, run_id)

    async def resume(self) -> None:
        """Take up every unfinished run, now and whenever the process ends that drives them."""
        await background.run(self._resume())

    async def close(self) -> None:
        """Break off what is running, which a later process continues, and close the file."""
        await background.run(self._close())

    async def _open(self) -> Engine:
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._engine is None:
                engine = Engine(
                    self._config.path,
                    self._catalog.find,
                    durability=self._settings.durability,
                    replay=self._settings.replay,
                    concurrency=self._settings.concurrency,
                    retention=milliseconds(self._settings.retention),
                    resume=(),
                )
                self._engine = await engine.open()
                background.closes_at_exit(self)
            return self._engine

    async def _send(self, event: Event, key: str | None) -> Receipt:
        self._catalog.get(event.name)  # says more about a name that nobody has
        engine = await self._open()
        run, is_new = await engine.submit_or_find(event, key=key)
        return Receipt(run, not is_new, run.data)

    async def _find(self, run_id: str) -> Run | None:
        reader = Reader(self._config.path)
        try:
            return reader.find(run_id)
        finally:
            reader.close()

    async def _wait(self, run_id: str) -> Run:
        return await (await self._open()).wait(run_id)

    async def _standing(self, run_id: str) -> Run | str:
        return (await self._open()).standing(run_id)

    async def _stop(self, run_id: str) -> bool:
        return await (await self._open()).stop(run_id)

    async def _resume(self) -> None:
        await (await self._open()).resume()

    async def _close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    def _latest(self, workflow: str | None, statuses: Sequence[RunStatus], limit: int) -> list[Run]:
        reader = Reader(self._config.path)
        try:
            return reader.runs(workflow=workflow, statuses=statuses, limit=limit)
        finally:
            reader.close()

    def _details(self, run_id: str) -> RunDetails:
        reader = Reader(self._config.path)
        try:
            run = reader.get(run_id)
            steps = tuple(reader.checkpoints(run.id).values())
            return RunDetails(run, steps, tuple(reader.attempts(run.id)))
        finally:
            reader.close()
