"""What an ended run came to: its result, or the error that says why there is none."""

from __future__ import annotations

from typing import Any

from kit.model.errors import RunCancelled, RunFailed, RunTimedOut
from kit.model.run import Run, RunStatus
from kit.model.text import decode


def result_of(run: Run) -> Any:
    """
    Return the result of an ended run as plain data.

    Raises:
        RunError: `RunFailed`, `RunCancelled` or `RunTimedOut`, if it did not complete.
    """
    if run.status is RunStatus.COMPLETED:
        return decode(run.result)
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
