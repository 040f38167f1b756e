"""
Runs on a Netlify site: events go to its Async Workloads router, over HTTP.

Concurrent sends of one turn of the loop share router calls. What Netlify cannot tell or do is
said: there is no lookup, no result, no cancellation, and a workflow's `timeout` is not enforced.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Never, TypeVar

from kit.client import background
from kit.model.errors import ConfigError, NotSupportedError, WorkflowError, WorkflowNotFoundError
from kit.model.event import Event
from kit.model.run import Run, RunDetails
from kit.model.workflow import Workflow
from kit.netlify.router import (
    Acknowledgement,
    Flow,
    Parcel,
    Target,
    first_batch,
    pack,
    parcels_flow,
)
from kit.netlify.transport import AsyncNetwork
from kit.project.config import Config
from kit.project.discovery import Discovery, discover, get_workflow

T = TypeVar("T")

MAX_CALLS = 16
"""Router calls of one sender under way at once; what comes meanwhile shares the next ones."""


def target_of(config: Config) -> Target:
    """
    Return where the settings send events.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If there is no base URL.
    """
    config.get_workflow()
    if config.base_url is None:
        msg = (
            "the provider 'netlify' needs to know the site: set WORKFLOW_BASE_URL (or"
            " workflow.baseUrl in kit.yaml) to its address, such as https://my-site.netlify.app"
        )
        raise ConfigError(msg)
    key = config.api_key.get_secret_value() if config.api_key else None
    return Target(config.base_url, key)


def now() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Sender:
    """Sends the events of one loop, those of one turn together."""

    def __init__(self, target: Target, network: AsyncNetwork) -> None:
        self._target = target
        self._network = network
        self._waiting: list[tuple[Parcel, asyncio.Future[Acknowledgement]]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def send(self, event: Event) -> Acknowledgement:
        """
        Send an event; return once the router has acknowledged it.

        Raises:
            PayloadError: If the event cannot be sent as it is; nothing is sent.
            SendError: If it did not get through.
        """
        parcel = pack(event, self._target, now=now())
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Acknowledgement] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((parcel, future))
        return await future

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out another flow over the same connections."""
        return await self._network.carry_out(flow)

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        while self._waiting or self._calls:
            self._flush()
            await asyncio.gather(*self._calls, return_exceptions=True)
        await self._network.close()

    def _flush(self) -> None:
        # whoever has stopped waiting before anything was sent wants nothing sent
        waiting = [each for each in self._waiting if not each[1].done()]
        while waiting and len(self._calls) < MAX_CALLS:
            count = first_batch([parcel for parcel, _ in waiting[:10]])
            call = asyncio.create_task(self._call(waiting[:count]))
            self._calls.add(call)
            call.add_done_callback(self._ended)
            waiting = waiting[count:]
        self._waiting = waiting

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if self._waiting:
            self._flush()

    async def _call(self, batch: list[tuple[Parcel, asyncio.Future[Acknowledgement]]]) -> None:
        parcels = [parcel for parcel, _ in batch]
        outcomes: Sequence[Acknowledgement | Exception]
        try:
            outcomes = await self._network.carry_out(parcels_flow(parcels, self._target))
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


async def _closed(lifetime: AsyncGenerator[None, None]) -> None:
    await lifetime.aclose()


class NetlifyProvider:
    """The provider `netlify`: one sender, with connections of its own, for each event loop."""

    name = "netlify"

    def __init__(self, config: Config, network: Callable[[], AsyncNetwork] = AsyncNetwork) -> None:
        self._config = config
        self._target = target_of(config)
        self._network = network
        self._lifetimes: dict[
            asyncio.AbstractEventLoop, tuple[Sender, AsyncGenerator[None, None]]
        ] = {}
        self._lock = threading.RLock()  # a workflow file may ask for workflows while it is found
        self._admitted: dict[str, Workflow[..., Any]] = {}
        self._discovery: Discovery | None = None

    @property
    def target(self) -> Target:
        """The site events go to."""
        return self._target

    def workflows(self) -> Sequence[Workflow[..., Any]]:
        """Return the workflows defined in this project; the site may have others."""
        found = {name.lower(): each for name, each in self._found().workflows.items()}
        return [*{**found, **self._admitted}.values()]

    def find_workflow(self, name: str) -> Workflow[..., Any] | None:
        """Return a definition if this project has it; the site may know names it has not."""
        admitted = self._admitted.get(name.lower())
        try:
            return admitted or get_workflow(self._found(), name)
        except WorkflowNotFoundError:
            return None

    def admit(self, workflow: Workflow[..., Any]) -> None:
        """Make a definition known that was not found by file."""
        self._admitted[workflow.event_name.lower()] = workflow

    async def send(self, event: Event, *, key: str | None = None) -> Acknowledgement:
        """Send the event to the site's router."""
        return await (await self._sender()).send(event)

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Send several events in as few router calls as they fit in."""
        results = await asyncio.gather(*map(self.send, events), return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException) and not isinstance(each, WorkflowError):
                raise each  # a mistake in the kit or around it, not an event that did not go
        return [each if isinstance(each, WorkflowError) else None for each in results]

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out another flow, such as one of `management`, over this loop's connections."""
        return await (await self._sender()).carry_out(flow)

    async def find(self, run_id: str) -> Run | None:
        """Return None: Netlify cannot be asked for a run."""
        return None

    async def wait(self, run_id: str) -> Run:
        """Raise `NotSupportedError`."""
        return self._cannot("result")

    async def stop(self, run_id: str) -> bool:
        """Raise `NotSupportedError`."""
        return self._cannot("stop")

    async def details(self, run_id: str) -> RunDetails:
        """Raise `NotSupportedError`."""
        return self._cannot("details")

    async def close(self) -> None:
        """Finish what this loop and the background have under way, and close their connections."""
        here = self._lifetimes.get(asyncio.get_running_loop())
        if here is not None:
            await here[1].aclose()
        # other loops close theirs when they end; to wait for them could be to wait for oneself
        if self._lifetimes and (behind := self._lifetimes.get(background.loop())):
            await background.run(_closed(behind[1]))

    def _cannot(self, what: str) -> Never:
        remedy = (
            "Async Workloads keeps no record of a run that could be asked. For that, run the"
            " workflow with provider: local"
        )
        raise NotSupportedError(what, self.name, remedy)

    async def _sender(self) -> Sender:
        loop = asyncio.get_running_loop()
        held = self._lifetimes.get(loop)
        if held is None:
            sender = Sender(self._target, self._network())
            lifetime = self._lifetime(loop, sender)
            with self._lock:  # loops of several threads meet here
                for each in [each for each in self._lifetimes if each.is_closed()]:
                    del self._lifetimes[each]  # it has ended without closing its generators
                held = self._lifetimes[loop] = (sender, lifetime)
            await anext(lifetime)
        return held[0]

    async def _lifetime(
        self, loop: asyncio.AbstractEventLoop, sender: Sender
    ) -> AsyncGenerator[None, None]:
        # a loop that ends closes its unfinished generators; so connections end with their loop
        try:
            yield
        finally:
            with self._lock:
                self._lifetimes.pop(loop, None)
            await sender.close()

    def _found(self) -> Discovery:
        with self._lock:
            if self._discovery is None:
                self._discovery = discover(self._config.folder, root=self._config.root)
            return self._discovery
