"""`AsyncWorkflowClient`: for one site, over connections of its own, in async code."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from kit.client import handle
from kit.client.sending import (
    AnyEvent,
    SendOptions,
    Sent,
    StartOptions,
    make_event,
    make_events,
    paired,
)
from kit.client.site import SiteClient
from kit.model.workflow import AnyWorkflow
from kit.netlify.management import Accepted, delete_flow, retry_flow
from kit.netlify.sender import Sender
from kit.netlify.transport import TIMEOUT, AsyncTransport, timeouts
from kit.project.settings import Key, hidden

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.model.run import Run
    from kit.netlify.flow import Flow
    from kit.netlify.transport import httpx

T = TypeVar("T")


class AsyncWorkflowClient(SiteClient):
    """
    A client of one site, for async code. What is not given comes from the settings.

    It has pooled connections, or uses the httpx client or transport it is given, which it then does
    not close. Events sent side by side share calls of the site's router. *timeout* is how many
    seconds an answer has to begin, for each attempt as a whole, over whatever connections.

    Raises:
        ConfigError: If there is no base URL, or it cannot be used.
        ArgumentError: If no *timeout* could be so long.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: Key | None = None,
        *,
        client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        api_key = hidden(api_key)  # no frame of an error shows it
        super().__init__(base_url, api_key, self._carry_out)
        timeouts(timeout)  # refused here, not where connections are first needed
        self._transport = functools.partial(
            AsyncTransport, client, transport=transport, timeout=timeout
        )
        self._sender: Sender | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the sender's
        self._pid = 0  # of the process that uses it: a forked child begins afresh
        self._closed = False

    async def run_workflow(
        self, workflow: str | AnyWorkflow, input: Any = None, **options: Unpack[StartOptions]
    ) -> handle.WorkflowRun:
        """Start a workflow; the run is accepted when this returns. See `kit.run_workflow`."""
        event, how = self.start_of(workflow, input, options)
        send = functools.partial(self._open().send, event)
        return self.started(event, how, await self._source.start(event, send, **how))

    async def send_event(self, name: str, data: Any = None, **options: Unpack[SendOptions]) -> str:
        """Send an event and return its id. See `kit.send_event`."""
        event = make_event(name, data, options)
        await self._open().send(event)
        return event.id

    async def send_events(self, events: Sequence[AnyEvent]) -> list[Sent]:
        """Send several events, and tell of each whether it went. See `kit.send_events`."""
        made, whole = make_events(events)
        return paired(made, await self._open().send_all(whole))

    async def delete_events(
        self, *, ids: Collection[str] = (), states: Collection[str] = (), everything: bool = False
    ) -> Accepted:
        """Have the site delete events; see `kit.netlify.management.delete_flow`."""
        flow = delete_flow(self._site, ids=ids, states=states, everything=everything)
        return await self._open().carry_out(flow)

    async def retry_events(
        self, *, ids: Collection[str] = (), names: Collection[str] = (), everything: bool = False
    ) -> Accepted:
        """Have the site retry dead letters; see `kit.netlify.management.retry_flow`."""
        flow = retry_flow(self._site, ids=ids, names=names, everything=everything)
        return await self._open().carry_out(flow)

    async def get_workflow_run(self, id: str) -> handle.WorkflowRun | None:
        """Return a handle on a run of the site, or None. See `kit.get_workflow_run`."""
        run = await self._source.find(id)
        if run is None:
            return None
        return handle.WorkflowRun(run.id, run.workflow, self._source, native=run)

    async def list_runs(
        self,
        *,
        workflow: str | AnyWorkflow | None = None,
        status: str | Iterable[str] | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Return the site's latest runs, newest first. See `kit.list_runs`."""
        from kit.client.listing import wanted

        return await self._source.latest(**wanted(workflow, status, limit))

    async def aclose(self) -> None:
        """Finish what is under way, and close the connections."""
        self._closed = True
        sender, self._sender = self._sender, None
        if sender is not None and self._loop is asyncio.get_running_loop():
            await sender.close()
        await self._source.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _carry_out(self, flow: Flow[T]) -> T:
        return await self._open().carry_out(flow)

    def _open(self) -> Sender:
        if self._closed:
            msg = "this client is closed: make a new one"
            raise RuntimeError(msg)
        loop, pid = asyncio.get_running_loop(), os.getpid()
        if self._sender is None or pid != self._pid or (loop is not self._loop and self._ended()):
            self._sender, self._loop = Sender(self._site, self._transport()), loop
            self._pid = pid
        elif self._loop is not loop:
            msg = "this client is used on another event loop: make one for each loop"
            raise RuntimeError(msg)
        return self._sender

    def _ended(self) -> bool:
        return self._loop is None or self._loop.is_closed()
