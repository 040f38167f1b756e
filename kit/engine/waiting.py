"""Those who wait for a run to end, or for all to be quiet; and the news that nothing can go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kit.model.run import Run


class Waiting:
    """
    Futures by what they wait for.

    `failure` is set while nothing can go on; *on_failure* is then told why.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        self._for_run: dict[str, list[asyncio.Future[Run]]] = {}
        self._for_quiet: list[asyncio.Future[None]] = []

    @property
    def run_ids(self) -> set[str]:
        """The runs that somebody waits for."""
        return set(self._for_run)

    def for_run(self, run_id: str) -> asyncio.Future[Run]:
        """Return a future that is done when `ended` is told of the run; `forget` it then."""
        waiter: asyncio.Future[Run] = self._future()
        self._for_run.setdefault(run_id, []).append(waiter)
        return waiter

    def forget(self, run_id: str, waiter: asyncio.Future[Run]) -> None:
        """Let go of a future that `for_run` has returned, whether or not it is done."""
        waiter.cancel()
        waiters = self._for_run.get(run_id, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._for_run[run_id]

    async def for_quiet(self) -> None:
        """Wait until `quiet` is told."""
        waiter: asyncio.Future[None] = self._future()
        self._for_quiet.append(waiter)
        await waiter

    def ended(self, run: Run) -> None:
        """Tell that a run has ended."""
        for waiter in self._for_run.pop(run.id, ()):
            if not waiter.done():
                waiter.set_result(run)

    def fail_run(self, run_id: str, error: Exception) -> None:
        """Tell that a run cannot go on."""
        for waiter in self._for_run.pop(run_id, ()):
            if not waiter.done():
                waiter.set_exception(error)

    def quiet(self) -> None:
        """Tell that nothing is going on and nothing is due."""
        waiters, self._for_quiet = self._for_quiet, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Tell everybody, now and later, that nothing can go on."""
        if self.failure is None:
            self.failure = error
            self.on_failure(error)
        for waiter in self._all():
            if not waiter.done():
                waiter.set_exception(error)

    def _all(self) -> list[asyncio.Future[Any]]:
        every: list[asyncio.Future[Any]] = [*self._for_quiet]
        for waiters in self._for_run.values():
            every += waiters
        self._for_run, self._for_quiet = {}, []
        return every

    def _future(self) -> asyncio.Future[Any]:
        if self.failure:
            raise self.failure
        return asyncio.get_running_loop().create_future()
