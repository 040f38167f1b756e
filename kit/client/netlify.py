"""
Runs on a Netlify site: events go to its Async Workloads router, over HTTP.

All loops and threads send over the connections of the background loop, until the provider is
closed. Runs are asked for over the site's runs API, if it has one (`asking`); else what Netlify
cannot tell or do is said: there is no lookup, no result, no cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from kit.client import background
from kit.client.provider import Receipt
from kit.model.errors import ConfigError
from kit.model.event import Event
from kit.netlify.flow import Flow
from kit.netlify.router import Acknowledgement
from kit.netlify.sender import Sender
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport, load_backend
from kit.project.config import Config
from kit.project.loading import loading

if TYPE_CHECKING:
    from kit.client.asking import CarryOut, SiteRuns
    from kit.client.sending import OnConflict
    from kit.model.run import Run, RunDetails, RunStatus

T = TypeVar("T")


def site_of(config: Config) -> Site:
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
    return Site(config.base_url, config.api_key)


class NetlifyProvider:
    """
    The provider `netlify`: one sender, on the background loop.

    Runs are asked for with *carry_out*, if it is given, instead of the sender's connections.
    """

    name = "netlify"
    needs_definition = False

    def __init__(
        self,
        config: Config,
        transport: Callable[[], AsyncTransport] = AsyncTransport,
        *,
        carry_out: CarryOut | None = None,
    ) -> None:
        self._site = site_of(config)
        self._asked_with = carry_out
        self._asked: SiteRuns | None = None
        self._transport = transport
        self._sender: Sender | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the sender's
        background.begins_afresh(self)

    @property
    def site(self) -> Site:
        """The site events go to."""
        return self._site

    def begin_afresh(self) -> None:
        """Leave the connections to the process that forked this one; see `background`."""
        background.abandon(self._sender, self._loop)
        self._sender = self._loop = None

    async def send(
        self, event: Event, *, key: str | None = None, on_conflict: OnConflict = "keep"
    ) -> Receipt:
        """Send the event to the site's router; see `start`."""

        async def sent() -> Acknowledgement:
            return await background.run(self._send(event))

        return await self.start(event, sent, key=key, on_conflict=on_conflict)

    async def start(
        self,
        event: Event,
        send: Callable[[], Awaitable[Acknowledgement]],
        *,
        key: str | None,
        on_conflict: OnConflict,
    ) -> Receipt:
        """
        Have the event sent by *send*.

        If conflicts are errors, the site is asked first for the run of its *key*; where there is
        one, nothing is sent: the event would find nothing to do.
        """
        if key is None or on_conflict == "keep":
            return Receipt(await send())
        known = await self._runs().known(event.id)
        return Receipt(await send(), False) if known is None else Receipt(known, True, known.data)

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Send several events in as few router calls as they fit in."""
        return await background.run(self._send_all(events))

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out another flow, such as one of `management`, over the same connections."""
        return await background.run(self._carry_out(flow))

    async def find(self, run_id: str) -> Run | None:
        """Return the run; None if there is none yet, or the site cannot tell."""
        return await self._runs().find(run_id)

    async def status(self, run_id: str) -> RunStatus | None:
        """Return where the run is; None if there is none yet, or the site cannot tell."""
        return await self._runs().status(run_id)

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """Return the latest runs, newest first."""
        return await self._runs().latest(workflow=workflow, statuses=statuses, limit=limit)

    async def wait(self, run_id: str) -> Run:
        """Wait until the run has ended."""
        return await self._runs().wait(run_id)

    async def standing(self, run_id: str) -> str:
        """Say in words how the run stood when it was last looked at."""
        return self._runs().standing(run_id)

    async def stop(self, run_id: str) -> bool:
        """End the run: at once if it waits, else at its next step."""
        return await self._runs().stop(run_id)

    async def details(self, run_id: str) -> RunDetails:
        """Return the run with its steps and failed attempts."""
        return await self._runs().details(run_id)

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        if self._sender is not None:
            await background.run(self._close())

    async def resume(self) -> None:
        """Do nothing: there, unfinished runs go on by themselves."""

    def _runs(self) -> SiteRuns:
        if self._asked is None:
            from kit.client.asking import SiteRuns  # who only sends asks for no runs

            self._asked = SiteRuns(self._site, self._asked_with or self.carry_out)
        return self._asked

    async def _send(self, event: Event) -> Acknowledgement:
        return await self._open().send(event)

    async def _send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        return await self._open().send_all(events)

    async def _carry_out(self, flow: Flow[T]) -> T:
        return await self._open().carry_out(flow)

    def _open(self) -> Sender:
        loop = asyncio.get_running_loop()
        if self._sender is None or self._loop is not loop:
            with loading():
                load_backend()
                self._sender, self._loop = Sender(self._site, self._transport()), loop
            background.closes_at_exit(self)
        return self._sender

    async def _close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None and self._loop is asyncio.get_running_loop():
            await sender.close()
