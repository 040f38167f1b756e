"""A handle on one run: what a provider can tell of it and do with it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from kit.model.errors import NotSupportedError
from kit.model.running import current

if TYPE_CHECKING:
    from kit.client.provider import Provider, Receipt
    from kit.model.run import RunDetails, RunStatus


class WorkflowRun:
    """
    A handle on one run. `id` is its event's id; `native` is the provider's own acknowledgement.

    `existed` tells whether the id given had started the run before; None where the provider, or a
    start that is not through yet, cannot tell. Netlify is asked with `on_conflict="error"` only:
    else it is None there, which says that it is not known, and never that there was no such run.

    What a provider cannot tell or do raises `NotSupportedError`. On Netlify a run is asked for over
    the site's runs API, which it has with `store: blobs`; without it a run that was sent is
    `queued`, and that is all it says.
    """

    def __init__(
        self,
        id: str,
        name: str,
        source: Provider,
        *,
        native: Any = None,
        existed: bool | None = None,
        sending: Future[Receipt] | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.native = native
        self.existed = existed
        self._source = source
        self._sending = sending

    @property
    def provider(self) -> str:
        """The name of the provider where the run lives."""
        return self._source.name

    async def status(self) -> RunStatus:
        """Return where the run is; raises `SendError` if a deferred start did not get through."""
        await self._sent()
        status = await self._source.status(self.id)
        if status is not None:
            return status
        from kit.model.run import RunStatus  # who only sends needs no runs

        return RunStatus.QUEUED

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as result() everywhere
        """
        Wait until the run has ended, and return its result as plain data.

        Raises:
            NotSupportedError: If it is asked for within a handler or step.
            TimeoutError: If it has not ended after *timeout* seconds; it goes on. The message says
                how the run stands, and of one on this machine which process drives it. On Netlify
                it is looked at after 0.2 s, then less and less often, up to every 5 s.
            RunFailed: If it gave up; `error` says with what.
            RunCancelled: If it was stopped.
            RunTimedOut: If it took longer than its workflow allows.
        """
        refuse_within_a_run(self.provider)
        await self._sent()
        try:
            async with asyncio.timeout(timeout) as limit:
                run = await self._source.wait(self.id)
        except TimeoutError:
            if not limit.expired():
                raise
            stands = await self._source.standing(self.id)
            if isinstance(stands, str):
                msg = f"run {self.id} of {self.name!r} has not ended after {timeout:g} s: {stands}"
                raise TimeoutError(msg) from None
            run = stands  # it has ended in this moment
        from kit.client.result import result_of

        return result_of(run)

    async def stop(self) -> bool:
        """End the run at its next step or sleep, at its end at last; False if it had ended."""
        await self._sent()
        return await self._source.stop(self.id)

    async def details(self) -> RunDetails:
        """Return the run with its steps, attempts, times and error."""
        await self._sent()
        return await self._source.details(self.id)

    def __repr__(self) -> str:
        return f"WorkflowRun(id={self.id!r}, name={self.name!r}, provider={self.provider!r})"

    async def _sent(self) -> None:
        if self._sending is not None:
            receipt = await asyncio.wrap_future(self._sending)
            self.native, self.existed = receipt.native, receipt.existed


def refuse_within_a_run(provider: str) -> None:
    """
    Refuse to wait for a run where that is within another one.

    Raises:
        NotSupportedError: If the running code belongs to a handler or step.
    """
    if current.get() is None:
        return
    remedy = (
        "A handler is run again from its top after each pause, and would wait again each time, in"
        " the way of the run it waits for. Let that one send an event when it is done, or look at"
        " its status() in steps, with sleeps between them."
    )
    capability = "waiting for a run within a run"
    raise NotSupportedError(capability, provider, remedy)
