"""
Who carries the runs on: the engine here, or another process that holds the file's lease.

Everything `kit dev` wants of the engine is asked here and nowhere else. While another process
drives, what is asked for is written into the file for that one; when it has gone, the engine here
takes over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from kit.engine.engine import Engine
from kit.model.errors import RunNotFoundError, StoreInUseError
from kit.model.event import Event
from kit.model.run import Progress, Run, RunDetails
from kit.model.workflow import AnyWorkflow
from kit.project.settings import WorkflowConfig
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.runs import delete, request

TAKE_OVER_SECONDS = 1.0
"""How often it is looked whether another process still drives."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told: of progress, and that who drives has changed."""

    progress: Callable[[Progress], None]
    source: Callable[[], None]


class Driving:
    """
    The runs of the file at *path*, driven here if nobody else does; an async context manager.

    Raises (on entering):
        StoreError: If the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        find: Callable[[str], AnyWorkflow | None],
        settings: WorkflowConfig,
        listeners: Listeners,
    ) -> None:
        self.path = path
        self.other: int | None = None
        """The id of the process that drives, if it is not this one."""
        self._find = find
        self._settings = settings
        self._listeners = listeners
        self._engine: Engine | None = None
        self._waiting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._try()
        if self._engine is None:
            self._waiting = asyncio.create_task(self._wait_for_our_turn())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError):
                await self._waiting
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.__aexit__(None, None, None)

    async def submit(self, event: Event, *, key: str | None = None) -> Run:
        """
        Store an event's run and return it; one whose id is known starts nothing.

        Raises:
            WorkflowNotFoundError: If no workflow has the event's name.
            StoreInUseError: If another process drives, and has to be asked itself.
        """
        return await self._ours().submit(event, key=key)

    async def stop(self, run_id: str) -> bool:
        """End a run; False if it had ended. Raises `RunNotFoundError`."""
        if self._engine is not None:
            return await self._engine.stop(run_id)
        return await self._ask(run_id, "stop", ended=False)

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """Run an ended run again; False if it has not ended. Raises `RunNotFoundError`."""
        if self._engine is not None:
            if not self._engine.get(run_id).status.is_final:
                return False
            await self._engine.retry(run_id, from_start=from_start)
            return True
        return await self._ask(run_id, "retry", ended=True)

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; False if it has not ended. Raises `RunNotFoundError`."""
        await asyncio.to_thread(self._existing, run_id)
        return await asyncio.to_thread(delete, self.path, run_id)

    async def wait(self, run_id: str) -> Run:
        """Wait until a run has ended. Raises as the engine's `wait` does."""
        return await self._ours().wait(run_id)

    async def details(self, run_id: str) -> RunDetails | None:
        """Return what the file says of a run, or None."""
        return await asyncio.to_thread(self._read, run_id)

    def reload(self) -> None:
        """Have runs in flight go on with the workflows as they are found now."""

    def _ours(self) -> Engine:
        if self._engine is None:
            msg = (
                f"process {self.other} drives the runs in {self.path}, so this one starts none;"
                " end that process, and this one takes over"
            )
            raise StoreInUseError(msg, path=str(self.path), pid=self.other or 0)
        return self._engine

    async def _try(self) -> None:
        """Drive, unless somebody else does."""
        how = self._settings
        engine = Engine(
            self.path,
            self._find,
            durability=how.durability,
            replay=how.replay,
            concurrency=how.concurrency,
            observe=self._listeners.progress,
        )
        try:
            self._engine = await engine.__aenter__()
            self.other = None
        except StoreInUseError as error:
            self.other = error.pid

    async def _wait_for_our_turn(self) -> None:
        while self._engine is None:
            await asyncio.sleep(TAKE_OVER_SECONDS)
            before = self.other
            await self._try()
            if self.other != before:
                self._listeners.source()

    async def _ask(self, run_id: str, what: Literal["stop", "retry"], *, ended: bool) -> bool:
        run = await asyncio.to_thread(self._existing, run_id)
        if run.status.is_final is not ended:
            return False
        now = time.time_ns() // 1_000_000
        await asyncio.to_thread(request, self.path, run_id, what, now)
        return True

    def _existing(self, run_id: str) -> Run:
        found = self._read(run_id)
        if found is None:
            msg = f"no run has the id {run_id!r}"
            raise RunNotFoundError(msg, run_id=run_id)
        return found.run

    def _read(self, run_id: str) -> RunDetails | None:
        reader = Reader(self.path)
        try:
            run = reader.find(run_id)
            if run is None:
                return None
            steps = tuple(reader.checkpoints(run_id).values())
            return RunDetails(run, steps, tuple(reader.attempts(run_id)))
        finally:
            reader.close()
