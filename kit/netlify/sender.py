"""
Sending from one event loop: what is sent side by side shares calls of the site's router.

Events of one turn of the loop go together, ten a call, and at most `MAX_CALLS` calls are under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from kit.model.errors import WorkflowError
from kit.model.event import Event
from kit.netlify.flow import Flow
from kit.netlify.router import Acknowledgement, Packed, first_batch, pack, packed_flow
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport

T = TypeVar("T")

MAX_CALLS = 16
"""Router calls of one sender under way at once; what comes meanwhile shares the next ones."""


def now() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Sender:
    """Sends the events of one loop over connections of its own, until it is closed."""

    def __init__(
        self, site: Site, transport: AsyncTransport, *, now: Callable[[], int] = now
    ) -> None:
        self._site = site
        self._transport = transport
        self._now = now
        self._waiting: list[tuple[Packed, asyncio.Future[Acknowledgement]]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def send(self, event: Event) -> Acknowledgement:
        """
        Send an event; return once the router has acknowledged it.

        Raises:
            PayloadError: If the event cannot be sent as it is; nothing is sent.
            SendError: If it did not get through.
        """
        packed = pack(event, self._site, now=self._now())
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Acknowledgement] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((packed, future))
        return await future

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Send several events in as few calls as they fit in; tell of each whether it went."""
        results = await asyncio.gather(*map(self.send, events), return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException) and not isinstance(each, WorkflowError):
                raise each  # a mistake in the kit or around it, not an event that did not go
        return [each if isinstance(each, WorkflowError) else None for each in results]

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out another flow, such as one of `management`, over the same connections."""
        return await self._transport.carry_out(flow)

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        while self._waiting or self._calls:
            self._flush()
            if self._calls:  # not gather: from 3.12 on it lets nothing go on if all are done
                await asyncio.wait(self._calls)
        await self._transport.close()

    def _flush(self) -> None:
        # whoever has stopped waiting before anything was sent wants nothing sent
        waiting = [each for each in self._waiting if not each[1].done()]
        while waiting and len(self._calls) < MAX_CALLS:
            count = first_batch([packed for packed, _ in waiting[:10]])
            call = asyncio.create_task(self._call(waiting[:count]))
            self._calls.add(call)
            call.add_done_callback(self._ended)
            waiting = waiting[count:]
        self._waiting = waiting

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if self._waiting:
            self._flush()

    async def _call(self, batch: list[tuple[Packed, asyncio.Future[Acknowledgement]]]) -> None:
        events = [packed for packed, _ in batch]
        outcomes: Sequence[Acknowledgement | Exception]
        try:
            outcomes = await self._transport.carry_out(packed_flow(events, self._site))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            outcomes = [error] * len(batch)
        except asyncio.CancelledError:  # the loop ends, and with it whoever waits
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():  # whoever waited has stopped waiting; the event went all the same
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
