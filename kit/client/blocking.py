"""What plain code holds: a handle without `await`, and the wait that carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from kit.client import background, handle
from kit.client.default import refuse_imports
from kit.model.errors import DiscoveryError
from kit.model.running import current

if TYPE_CHECKING:
    from kit.model.run import RunDetails, RunStatus

T = TypeVar("T")


class WorkflowRun:
    """A handle on one run, as `kit.WorkflowRun`, without `await`."""

    def __init__(self, run: handle.WorkflowRun) -> None:
        self._run = run
        self.id = run.id
        self.name = run.name
        self.provider = run.provider

    @property
    def native(self) -> Any:
        """The provider's own acknowledgement."""
        return self._run.native

    @property
    def existed(self) -> bool | None:
        """Whether the id given had started the run before; see `kit.WorkflowRun`."""
        return self._run.existed

    def status(self) -> RunStatus:
        """Return where the run is."""
        return wait(self._run.status())

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the run has ended, and return its result; see `kit.WorkflowRun.result`."""
        handle.refuse_within_a_run(self.provider)  # before it is said that this is async code
        return wait(self._run.result(timeout))

    def stop(self) -> bool:
        """End the run at its next step or sleep; False if it had ended already."""
        return wait(self._run.stop())

    def details(self) -> RunDetails:
        """Return the run with its steps, attempts, times and error."""
        return wait(self._run.details())

    def __repr__(self) -> str:
        return repr(self._run)


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Wait for *coroutine*, on the loop of the run this thread works for or in the background.

    Raises:
        DiscoveryError: If a workflow file waits while it is imported: it would wait for itself.
        RuntimeError: If this is the loop that would have to go on meanwhile.
    """
    try:
        refuse_imports()
    except DiscoveryError:
        coroutine.close()
        raise
    running = current.get()
    loop = background.loop() if running is None else running[0].loop
    if loop is _running_loop():
        coroutine.close()
        msg = "kit.sync blocks, and this is async code: use the same function from kit, with await"
        raise RuntimeError(msg)
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
