"""The functions of `kit`, without `await`: for Django, a notebook, a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kit.client import api as client
from kit.client.blocking import WorkflowRun, wait
from kit.client.sending import AnyEvent, OnConflict, Sent
from kit.model.duration import Duration
from kit.model.validation import read_validated_payload
from kit.model.workflow import Workflow

if TYPE_CHECKING:
    from kit.execution.context import PlainContext as Context
    from kit.model.run import Run

__all__ = [
    "Context",
    "Sent",
    "WorkflowRun",
    "defer_workflow",
    "get_workflow_run",
    "list_runs",
    "list_workflows",
    "read_validated_payload",
    "resume",
    "run_workflow",
    "send_event",
    "send_events",
]


def run_workflow(
    workflow: str | Workflow[..., Any],
    input: Any = None,
    *,
    id: str | None = None,
    delay: Duration | None = None,
    delay_until: datetime | None = None,
    priority: int | None = None,
    on_conflict: OnConflict = "keep",
) -> WorkflowRun:
    """Start a workflow; see `kit.run_workflow`."""
    return WorkflowRun(
        wait(
            client.run_workflow(
                workflow,
                input,
                id=id,
                delay=delay,
                delay_until=delay_until,
                priority=priority,
                on_conflict=on_conflict,
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
    on_conflict: OnConflict = "keep",
) -> WorkflowRun:
    """Start a workflow without waiting until it is accepted; see `kit.defer_workflow`."""
    return WorkflowRun(
        wait(
            client.defer_workflow(
                workflow,
                input,
                id=id,
                delay=delay,
                delay_until=delay_until,
                priority=priority,
                on_conflict=on_conflict,
            )
        )
    )


def get_workflow_run(id: str) -> WorkflowRun | None:
    """Return a handle on a run, or None; see `kit.get_workflow_run`."""
    found = wait(client.get_workflow_run(id))
    return None if found is None else WorkflowRun(found)


def list_runs(
    *,
    workflow: str | Workflow[..., Any] | None = None,
    status: str | Iterable[str] | None = None,
    limit: int = 50,
) -> list[Run]:
    """Return the latest runs, newest first; see `kit.list_runs`."""
    return wait(client.list_runs(workflow=workflow, status=status, limit=limit))


def resume() -> None:
    """Take up every unfinished run kept on this machine; see `kit.resume`."""
    wait(client.resume())


def list_workflows() -> list[Workflow[..., Any]]:
    """Return the workflows defined in this project, by name."""
    return wait(client.list_workflows())


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
    return wait(
        client.send_event(
            name, data, id=id, delay=delay, delay_until=delay_until, priority=priority
        )
    )


def send_events(events: Sequence[AnyEvent]) -> list[Sent]:
    """Send several events, and tell of each whether it went; see `kit.send_events`."""
    return wait(client.send_events(events))


def __getattr__(name: str) -> Any:
    """Load `Context` when it is asked for: who only sends needs nothing that runs handlers."""
    if name == "Context":
        from kit.execution.context import PlainContext

        return PlainContext
    msg = f"module 'kit.sync' has no attribute {name!r}"
    raise AttributeError(msg)
