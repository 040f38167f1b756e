"""
Runs with a record, where a command is about the events that are only their alarm clock.

A site without the runs API has none; what goes wrong in asking, the order itself will tell.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from kit.model.errors import RunError, WorkflowError

if TYPE_CHECKING:
    from kit.client.workflow_client import WorkflowClient
    from kit.model.run import RunStatus


def refuse_ended(client: WorkflowClient, ids: Collection[str]) -> None:
    """
    Refuse to have the event of a run tried again whose record says that it has ended.

    Raises:
        RunError: If there is one: its function would find nothing to do.
    """
    for run_id in ids:
        status = _status(client, run_id)
        if status is not None and status.is_final:
            msg = (
                f"run {run_id} has a record, and is {status}: its event would find nothing to do."
                f" Nothing was tried again; kit runs retry {run_id} does it"
            )
            raise RunError(msg, run_id=run_id, code="RUN_HAS_RECORD")


def refuse_unended(client: WorkflowClient, ids: Collection[str]) -> None:
    """
    Refuse to have the event of a run deleted whose record says that it goes on.

    Raises:
        RunError: If there is one: nothing would wake it any more.
    """
    for run_id in ids:
        status = _status(client, run_id)
        if status is not None and not status.is_final:
            msg = (
                f"run {run_id} has a record, and is {status}: without its event nothing would wake"
                f" it. Nothing was deleted; kit runs stop {run_id} ends it"
            )
            raise RunError(msg, run_id=run_id, code="RUN_HAS_RECORD")


def has_runs(client: WorkflowClient, statuses: Sequence[str], workflows: Collection[str]) -> bool:
    """Tell whether runs with a record are in *statuses*, of *workflows* if any are named."""
    with suppress(WorkflowError):
        for workflow in workflows or (None,):
            if client.list_runs(workflow=workflow, status=statuses, limit=1):
                return True
    return False


def _status(client: WorkflowClient, run_id: str) -> RunStatus | None:
    with suppress(WorkflowError):
        found = client.get_workflow_run(run_id)
        if found is not None:
            status: RunStatus = found.native.status
            return status
    return None
