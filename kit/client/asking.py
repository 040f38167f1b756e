"""
Asking a site for its runs, over its runs API (docs/runs-api.md).

A site without that API cannot be asked: lookups then give nothing, all else raises
`NotSupportedError`, as it is with Async Workloads alone. That there is none is remembered for a
while, so that lookups cost no request each.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from kit.model.errors import NotSupportedError, RunNotFoundError, WorkflowError
from kit.model.run import Run, RunDetails, RunStatus
from kit.netlify.flow import Flow
from kit.netlify.run_json import details_of, run_of, status_of
from kit.netlify.runs import RunsApi, checked
from kit.netlify.site import Site

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.2, 5.0, 1.5
"""Seconds between two looks at a run that is waited for, and by what they grow."""

ABSENCE_SECONDS = 60.0
"""How long lookups do not ask a site again that has no runs API; the next deploy may bring it."""

PATIENCE = 10
"""So many looks in a row may fail before whoever waits is told."""

_PASSING = (429, 502, 503, 504)


class CarryOut(Protocol):
    """Carries out flows, as a transport does."""

    def __call__(self, flow: Flow[T], /) -> Awaitable[T]:
        """Carry out *flow*; raises what it raises."""


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each next look: from 0.2 up to 5."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE)


class SiteRuns:
    """The runs of *site*; *sleep* and *clock*, in seconds, are for tests."""

    def __init__(
        self,
        site: Site,
        carry_out: CarryOut,
        *,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = RunsApi(site)
        self._carry_out = carry_out
        self._sleep = sleep
        self._clock = clock
        self._absent_until = -math.inf
        self._seen: dict[str, RunStatus] = {}

    async def find(self, run_id: str) -> Run | None:
        """Return the run; None if there is none yet, or the site cannot tell."""
        found = await self._looked_up(self._api.show, run_id)
        return None if found is None else run_of(found)

    async def known(self, run_id: str) -> Run | None:
        """
        Return the run, as whoever starts it wants to know; None if there is none yet.

        Raises:
            NotSupportedError: If the site has no runs API.
        """
        try:
            return run_of(await self._carry_out(self._api.known(run_id)))
        except RunNotFoundError:
            return None

    async def status(self, run_id: str) -> RunStatus | None:
        """Return where the run is; None if there is none yet, or the site cannot tell."""
        found = await self._looked_up(self._api.result, run_id)
        return None if found is None else status_of(found)

    async def wait(self, run_id: str) -> Run:
        """
        Look at the run, less and less often, until it has ended.

        One that is not there yet is waited for: it begins with its first delivery.

        Raises:
            NotSupportedError: If the site has no runs API.
            RunNotFoundError: If the run has been deleted meanwhile.
            WorkflowError: If the site refuses, or cannot be reached for a while.
        """
        checked(run_id)
        is_there, failures = False, 0
        for pause in pauses():
            try:
                found = await self._carry_out(self._api.result(run_id))
                is_there, failures = True, 0
                self._seen[run_id] = status_of(found)
                if self._seen[run_id].is_final:
                    del self._seen[run_id]
                    return run_of(found)
            except RunNotFoundError:
                if is_there:
                    raise
            except WorkflowError as error:
                failures += 1
                if failures > PATIENCE or error.http_status not in _PASSING:
                    raise
            await self._sleep(pause)
        raise AssertionError  # the pauses do not end

    def standing(self, run_id: str) -> str:
        """Say how the run stood when `wait` last looked at it, which was given up since."""
        seen = self._seen.pop(run_id, None)
        return f"it was {seen} at the last look" if seen else "it had not begun"

    async def stop(self, run_id: str) -> bool:
        """End the run; False if it had ended."""
        return await self._carry_out(self._api.stop(run_id))

    async def details(self, run_id: str) -> RunDetails:
        """Return all that is known of the run."""
        return details_of(await self._carry_out(self._api.show(run_id)))

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """Return the latest *limit* runs, newest first."""
        flow = self._api.latest(workflow=workflow, statuses=statuses, limit=limit)
        return list(map(run_of, await self._carry_out(flow)))

    async def _looked_up(
        self, asking: Callable[[str], Flow[dict[str, Any]]], run_id: str
    ) -> dict[str, Any] | None:
        if self._clock() < self._absent_until:
            return None
        try:
            return await self._carry_out(asking(run_id))
        except RunNotFoundError:
            return None
        except NotSupportedError:
            self._absent_until = self._clock() + ABSENCE_SECONDS
            return None
