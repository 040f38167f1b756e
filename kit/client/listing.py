"""Which runs a caller wants to have listed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from kit.model.errors import ArgumentError
from kit.model.run import RunStatus
from kit.model.workflow import AnyWorkflow, Workflow


class Wanted(TypedDict):
    """What `Provider.latest` takes."""

    workflow: str | None
    statuses: tuple[RunStatus, ...]
    limit: int


def wanted(
    workflow: str | AnyWorkflow | None, status: str | Iterable[str] | None, limit: int
) -> Wanted:
    """
    Return what a caller wants, checked.

    Raises:
        ArgumentError: If there is no such status, or *limit* is no number from 1 up.
    """
    name = workflow.event_name if isinstance(workflow, Workflow) else workflow
    given = (status,) if isinstance(status, str) else status or ()
    if not isinstance(limit, int) or limit < 1:
        msg = f"limit must be a whole number from 1 up, not {limit!r}"
        raise ArgumentError(msg)
    return {"workflow": name, "statuses": tuple(map(_status, given)), "limit": limit}


def _status(text: str) -> RunStatus:
    try:
        return RunStatus(text)
    except ValueError:
        msg = f"{text!r} is no status of a run: it is one of {', '.join(RunStatus)}"
        raise ArgumentError(msg) from None
