"""What other processes ask of the engine, by rows in its file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from kit.model.errors import RunNotFoundError, StoreError, WorkflowNotFoundError
from kit.store.sqlite.runs import RunStore

Ask = Callable[[str], Awaitable[object]]


class Requests:
    """
    Sees to requests with *stop* and *retry*, each as often as it was made.

    A request is answered, that is deleted, after it was seen to: a process that ends in between
    does it again, which does no harm. *fail* is told of a store that fails.
    """

    def __init__(
        self, store: RunStore, *, stop: Ask, retry: Ask, fail: Callable[[StoreError], None]
    ) -> None:
        self._store = store
        self._ask = {"stop": stop, "retry": retry}
        self._fail = fail
        self._seeing_to: dict[tuple[str, str], asyncio.Task[None]] = {}

    def look(self) -> None:
        """Read what is asked for, and begin to see to what is new."""
        try:
            asked = self._store.reader.requests()
        except StoreError as error:
            return self._fail(error)
        for run_id, what in asked:
            if (run_id, what) not in self._seeing_to:
                seeing = asyncio.create_task(self._see_to(run_id, what))
                self._seeing_to[run_id, what] = seeing
        return None

    async def close(self) -> None:
        """Wait until what was begun is done."""
        if self._seeing_to:
            await asyncio.wait(self._seeing_to.values())

    async def _see_to(self, run_id: str, what: str) -> None:
        try:
            with suppress(RunNotFoundError, WorkflowNotFoundError):  # nothing can be done for it
                await self._ask[what](run_id)
            await self._store.answer(run_id, what)
        except StoreError as error:
            self._fail(error)
        finally:
            del self._seeing_to[run_id, what]
