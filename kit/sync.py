"""The functions of `kit`, without `await`: for Django, a notebook, a script."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from kit import background, client, handle
from kit.duration import Duration
from kit.invocation import current
from kit.outgoing import AnyEvent, Sent
from kit.run import RunDetails, RunStatus
from kit.step import PlainContext as Context
from kit.validation import read_validated_payload
from kit.workflow import Workflow

__all__ = [
    "Context",
    "Sent",
    "WorkflowRun",
    "defer_workflow",
    "get_workflow_run",
    "list_workflows",
    "read_validated_payload",
    "run_workflow",
    "send_event",
    "send_events",
]

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

    def status(self) -> RunStatus:
        """Return where the run is."""
        return _wait(self._run.status())

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the run has ended, and return its result; see `kit.WorkflowRun.result`."""
        return _wait(self._run.result(timeout))

    def stop(self) -> bool:
        """End the run at its next step or sleep; False if it had ended already."""
        return _wait(self._run.stop())

    def details(self) -> RunDetails:
        """Return the run with its steps, attempts, times and error."""
        return _wait(self._run.details())

    def __repr__(self) -> str:
        return repr(self._run)


def run_workflow(
    workflow: str | Workflow[..., Any],
    input: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
) -> WorkflowRun:
    """Start a workflow; see `kit.run_workflow`."""
    return WorkflowRun(
        _wait(
            client.run_workflow(
                workflow, input, id=id, delay=delay, delay_until=delay_until, priority=priority
            )
        )
    )


def defer_workflow(
    workflow: str | Workflow[..., Any],
    input: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
) -> WorkflowRun:
    """Start a workflow without waiting until it is accepted; see `kit.defer_workflow`."""
    return WorkflowRun(
        _wait(
            client.defer_workflow(
                workflow, input, id=id, delay=delay, delay_until=delay_until, priority=priority
            )
        )
    )


def get_workflow_run(id: str) -> WorkflowRun | None:
    """Return a handle on a run, or None; see `kit.get_workflow_run`."""
    found = _wait(client.get_workflow_run(id))
    return None if found is None else WorkflowRun(found)


def list_workflows() -> list[Workflow[..., Any]]:
    """Return the workflows defined in this project, by name."""
    return _wait(client.list_workflows())


def send_event(
    name: str,
    data: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
) -> str:
    """Send an event and return its id; see `kit.send_event`."""
    return _wait(
        client.send_event(
            name, data, id=id, delay=delay, delay_until=delay_until, priority=priority
        )
    )


def send_events(events: Sequence[AnyEvent]) -> list[Sent]:
    """Send several events, and tell of each whether it went; see `kit.send_events`."""
    return _wait(client.send_events(events))


def _wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for *coroutine*, on the loop of the run this thread works for or in the background."""
    running = current.get()
    if running is not None and running[0].main is not None:
        loop = running[0].main.get_loop()
    else:
        loop = background.loop()
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
