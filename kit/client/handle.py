"""A handle on one run: what a provider can tell of it and do with it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from kit.model.errors import RunCancelled, RunFailed, RunTimedOut
from kit.model.run import Run, RunDetails, RunStatus
from kit.model.text import load

if TYPE_CHECKING:
    from kit.client.provider import Provider, Receipt


class WorkflowRun:
    """
    A handle on one run. `id` is its event's id; `native` is the provider's own acknowledgement.

    `existed` tells whether the id given had started the run before; None where the provider, or a
    start that is not through yet, cannot tell.

    What a provider cannot tell or do raises `NotSupportedError`; on Netlify a run that was sent
    is `queued`, and that is all it says.
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
        run = await self._source.find(self.id)
        return RunStatus.QUEUED if run is None else run.status

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as result() everywhere
        """
        Wait until the run has ended, and return its result as plain data.

        Raises:
            TimeoutError: If it has not ended after *timeout* seconds; it goes on.
            RunFailed: If it gave up; `error` says with what.
            RunCancelled: If it was stopped.
            RunTimedOut: If it took longer than its workflow allows.
        """
        await self._sent()
        async with asyncio.timeout(timeout):
            run = await self._source.wait(self.id)
        return result_of(run)

    async def stop(self) -> bool:
        """End the run at its next step or sleep; False if it had ended already."""
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


def result_of(run: Run) -> Any:
    """
    Return the result of an ended run as plain data.

    Raises:
        RunError: `RunFailed`, `RunCancelled` or `RunTimedOut`, if it did not complete.
    """
    if run.status is RunStatus.COMPLETED:
        return load(run.result)
    if run.status is RunStatus.CANCELLED:
        msg = f"run {run.id} of {run.workflow!r} was stopped"
        raise RunCancelled(msg, run_id=run.id)
    failure = run.failure
    msg = f"run {run.id} of {run.workflow!r} failed"
    if failure is None:
        raise RunFailed(msg, run_id=run.id)
    if failure.code == RunTimedOut.default_code:
        raise RunTimedOut(failure.message, run_id=run.id)
    step = f" in step {failure.step_id!r}" if failure.step_id else ""
    msg = f"{msg}{step}: {failure.type}: {failure.message}"
    data = {"type": failure.type, "message": failure.message, "traceback": failure.traceback}
    raise RunFailed(msg, run_id=run.id, error=data)
