"""
What `kit dev` wants of the engine, asked here and nowhere else.

Any process may start, stop and look at runs; one of all that have the file open drives them. This
one does, unless another did before; then it asks that one, and takes over when it has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from kit.engine.engine import Engine
from kit.engine.retention import milliseconds
from kit.model.errors import RunNotFoundError, StoreError, WorkflowNotFoundError
from kit.model.event import Event
from kit.model.progress import Progress
from kit.model.run import Run, RunDetails, RunStatus
from kit.project.catalog import Catalog
from kit.project.settings import WorkflowConfig
from kit.store.sqlite.direct import delete
from kit.store.sqlite.lease import holder
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.watched_file import LOST, identity


class Driving:
    """
    The runs of the file at *path*, all of them taken up; an async context manager.

    *observe* is told of what is executed here.

    Raises (on entering):
        StoreError: If the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        settings: WorkflowConfig,
        observe: Callable[[Progress], None],
    ) -> None:
        self.path = path
        self._catalog = catalog
        self._engine = Engine(
            path,
            catalog.find,
            durability=settings.durability,
            replay=settings.replay,
            concurrency=settings.concurrency,
            retention=milliseconds(settings.retention),
            observe=observe,
        )
        self._closed: StoreError | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._engine.open()
        except StoreError as error:
            self._closed = error
            raise
        self._closed, self._file = None, identity(self.path)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._closed is None:
            msg = f"{self.path} is not open"
            self._closed = StoreError(msg, path=str(self.path))
            await self._engine.close()

    @property
    def other(self) -> int | None:
        """The id of the process that drives, if it is not this one; 0 if it is not known."""
        return None if self._closed or self._engine.is_driver else holder(self.path)

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be stored now; None while all is well."""
        failure = self._closed or self._engine.failure
        return failure if isinstance(failure, StoreError) else None

    @property
    def is_open(self) -> bool:
        """Whether the file has been opened."""
        return self._closed is None

    @property
    def is_lost(self) -> bool:
        """Whether the file is not open, or another one, or none, has taken its place."""
        trouble = self.trouble  # what was moved away and put back is not used any more, either
        is_given_up = trouble is not None and trouble.code == LOST
        return self._closed is not None or is_given_up or identity(self.path) != self._file

    @property
    def _open(self) -> Engine:
        if self._closed is not None:
            raise self._closed
        return self._engine

    async def submit(self, event: Event, *, key: str | None = None) -> tuple[Run, bool]:
        """
        Store an event's run, and tell whether it is a new one; see `Engine.submit_or_find`.

        Raises:
            WorkflowNotFoundError: If no workflow has the event's name; it lists the known ones.
            DiscoveryError: If the file that should define it is wrong.
            StoreError: If it could not be stored.
        """
        try:
            return await self._open.submit_or_find(event, key=key)
        except WorkflowNotFoundError:
            self._catalog.get(event.name)  # says more of why
            raise

    async def stop(self, run_id: str) -> bool:
        """End a run; False if it had ended. Raises `RunNotFoundError`."""
        return await self._open.stop(run_id)

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """Run an ended run again; False if it has not ended. Raises `RunNotFoundError`."""
        if not self._open.get(run_id).status.is_final:
            return False
        try:
            await self._open.retry(run_id, from_start=from_start)
        except WorkflowNotFoundError:
            self._catalog.get(self._open.get(run_id).workflow)  # says more of why
            raise
        return True

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; False if it has not ended. Raises `RunNotFoundError`."""
        self._open.get(run_id)
        return await asyncio.to_thread(delete, self.path, run_id)

    async def wait(self, run_id: str) -> Run:
        """Wait until a run has ended. Raises as `Engine.wait` does."""
        return await self._open.wait(run_id)

    def standing(self, run_id: str) -> Run | str:
        """Say how a run stands, and who drives it; or return it, if it has ended."""
        return self._open.standing(run_id)

    async def reload(self) -> None:
        """Have runs in flight go on with the workflows as they are found now."""
        await self._open.reload()

    async def details(self, run_id: str) -> RunDetails | None:
        """Return what the file says of a run, or None."""
        return await asyncio.to_thread(self._read, run_id)

    async def get_details(self, run_id: str) -> RunDetails:
        """Return what the file says of a run. Raises `RunNotFoundError`."""
        found = await self.details(run_id)
        if found is None:
            msg = f"no run has the id {run_id!r}"
            raise RunNotFoundError(msg, run_id=run_id)
        return found

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """Return the latest *limit* runs, newest first."""
        return await asyncio.to_thread(self._latest, workflow, statuses, limit)

    def _latest(self, workflow: str | None, statuses: Sequence[RunStatus], limit: int) -> list[Run]:
        reader = Reader(self.path)
        try:
            return reader.runs(workflow=workflow, statuses=statuses, limit=limit)
        finally:
            reader.close()

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
