"""`WorkflowClient`: for one site, over connections of its own, in plain code."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from kit.client import blocking, handle
from kit.client.provider import Receipt
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
from kit.model.event import Event
from kit.model.workflow import AnyWorkflow
from kit.netlify.management import Accepted, delete_flow, retry_flow
from kit.netlify.router import Acknowledgement, events_flow
from kit.netlify.sender import now
from kit.netlify.transport import TIMEOUT, Transport
from kit.project.settings import Key, hidden

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kit.model.run import Run
    from kit.netlify.flow import Flow
    from kit.netlify.transport import httpx

T = TypeVar("T")


class WorkflowClient(SiteClient):
    """
    A client of one site, for plain code: Django, a script, a notebook. Threads may share one.

    What is not given comes from the settings. It has pooled connections, or uses the httpx client
    or transport it is given, which it then does not close. *timeout* is how many seconds an answer
    has to begin, for each attempt as a whole; httpx limits single reads only, so over connections
    that are given, or through a proxy, an attempt is made in a thread, which is left to itself when
    time is over and ends once the site lets go.

    Raises:
        ConfigError: If there is no base URL, or it cannot be used.
        ArgumentError: If no *timeout* could be so long.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: Key | None = None,
        *,
        client: httpx.Client | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        api_key = hidden(api_key)  # no frame of an error shows it
        super().__init__(base_url, api_key, self._carry_out)
        self._transport = Transport(client, transport=transport, timeout=timeout)

    def run_workflow(
        self, workflow: str | AnyWorkflow, input: Any = None, **options: Unpack[StartOptions]
    ) -> blocking.WorkflowRun:
        """Start a workflow; the run is accepted when this returns. See `kit.run_workflow`."""
        event, how = self.start_of(workflow, input, options)
        if how["on_conflict"] == "keep":
            receipt = Receipt(self._send(event))
        else:
            send = functools.partial(asyncio.to_thread, self._send, event)
            receipt = blocking.wait(self._source.start(event, send, **how))
        return blocking.WorkflowRun(self.started(event, how, receipt))

    def send_event(self, name: str, data: Any = None, **options: Unpack[SendOptions]) -> str:
        """Send an event and return its id. See `kit.send_event`."""
        return self._send(make_event(name, data, options)).event_id

    def send_events(self, events: Sequence[AnyEvent]) -> list[Sent]:
        """Send several events, and tell of each whether it went. See `kit.send_events`."""
        made, whole = make_events(events)
        return paired(made, self._transport.carry_out(events_flow(whole, self._site, now=now())))

    def list_workflows(self) -> list[AnyWorkflow]:
        """Return the workflows defined in this project, by name; the site may have others."""
        return self._catalog.workflows()

    def delete_events(
        self, *, ids: Collection[str] = (), states: Collection[str] = (), everything: bool = False
    ) -> Accepted:
        """Have the site delete events; see `kit.netlify.management.delete_flow`."""
        return self._transport.carry_out(
            delete_flow(self._site, ids=ids, states=states, everything=everything)
        )

    def retry_events(
        self, *, ids: Collection[str] = (), names: Collection[str] = (), everything: bool = False
    ) -> Accepted:
        """Have the site retry dead letters; see `kit.netlify.management.retry_flow`."""
        return self._transport.carry_out(
            retry_flow(self._site, ids=ids, names=names, everything=everything)
        )

    def get_workflow_run(self, id: str) -> blocking.WorkflowRun | None:
        """Return a handle on a run of the site, or None. See `kit.get_workflow_run`."""
        run = blocking.wait(self._source.find(id))
        if run is None:
            return None
        return blocking.WorkflowRun(
            handle.WorkflowRun(run.id, run.workflow, self._source, native=run)
        )

    def list_runs(
        self,
        *,
        workflow: str | AnyWorkflow | None = None,
        status: str | Iterable[str] | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Return the site's latest runs, newest first. See `kit.list_runs`."""
        from kit.client.listing import wanted

        return blocking.wait(self._source.latest(**wanted(workflow, status, limit)))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _carry_out(self, flow: Flow[T]) -> T:
        return await asyncio.to_thread(self._transport.carry_out, flow)

    def _send(self, event: Event) -> Acknowledgement:
        [outcome] = self._transport.carry_out(events_flow([event], self._site, now=now()))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
