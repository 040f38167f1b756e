"""What an invocation comes to: decided once, when nothing is open."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from kit.execution.calling import ordinary
from kit.execution.invocation import Invocation
from kit.execution.memory import CHANGED
from kit.execution.misuse import never_awaited
from kit.model.delivery import (
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Outcome,
    Sleep,
    Suspended,
)
from kit.model.duration import to_milliseconds
from kit.model.errors import ReplayError, WorkflowError
from kit.model.failure import failure_of
from kit.model.retry import default_wait
from kit.model.signals import Signal, Suspend
from kit.model.workflow import Workflow


def attempt_of(delivery: Delivery) -> int:
    """Return the attempt a handler sees: the platform's, plus failures that became suspensions."""
    kinds = (checkpoint.kind for checkpoint in delivery.checkpoints.values())
    return delivery.attempt + sum(kind is CheckpointKind.RETRY for kind in kinds)


def outcome_of(workflow: Workflow[..., Any], invocation: Invocation) -> Outcome:
    """Return what *invocation* has come to, now that nothing is open."""
    main = invocation.gate.main
    if invocation.broken:
        return failed(workflow, invocation, invocation.broken)
    if not main.done():
        return _suspended(invocation)
    if main.cancelled():
        return failed(workflow, invocation, _cancelled())
    raised = main.exception()
    if raised is not None:
        return failed(workflow, invocation, raised)
    if invocation.gate.held:  # it has passed by what is to answer first
        return _suspended(invocation)
    forgotten = invocation.promised.forgotten()
    if forgotten:
        return failed(workflow, invocation, never_awaited("the handler", forgotten))
    if not invocation.memory.is_used_up and invocation.memory.missed:
        return failed(workflow, invocation, _missed(invocation))
    return Completed(main.result(), invocation.memory.take())


def _cancelled() -> Exception:
    return RuntimeError("the handler was cancelled from within")


def _missed(invocation: Invocation) -> ReplayError:
    msg = (
        f"the handler ended without asking for {invocation.memory.missed}, which the run has"
        f" recorded: {CHANGED}"
    )
    return ReplayError(msg, run_id=invocation.delivery.event.id)


def _suspended(invocation: Invocation) -> Outcome:
    memory, sleeping, gate = invocation.memory, invocation.sleeping, invocation.gate
    # it may be cut short to store something, while there is more to do beside the sleeps
    is_cut_short = gate.held > 0 or (gate.is_busy and not sleeping.has_lingered)
    goes_on = invocation.stopping or is_cut_short
    sleeps = tuple(sleeping.under_way.values())
    return Suspended(memory.take(), sleeps, None, tuple(memory.dropped), goes_on)


def failed(workflow: Workflow[..., Any], invocation: Invocation, error: BaseException) -> Outcome:
    """Fail; or suspend for as long as the backoff, if there is something to keep or to forget."""
    if isinstance(error, Suspend):  # as a thread gets it whose step was cancelled
        error = _cancelled()
    if isinstance(error, Signal):
        raise error
    if not isinstance(error, Exception):  # as a coroutine that closes itself
        error = ordinary(error, workflow.handler)
    failures, memory = invocation.failures, invocation.memory
    attempt = attempt_of(invocation.delivery)
    failure = failure_of(error, failures.step_of(error))
    wait = None if failures.is_hopeless(error) else wait_after(workflow, attempt, error)
    forgotten = memory.forget(failures.to_blame(error))
    is_worth_it = bool(forgotten) or memory.has_outcomes
    fresh = memory.take()
    if wait is None or not is_worth_it:
        return Failed(failure, wait, fresh, forgotten)
    due = invocation.now() + to_milliseconds(wait)
    sleep = Sleep(f"kit:retry:{attempt}", due, CheckpointKind.RETRY)
    return Suspended(fresh, (sleep,), failure, forgotten)


def wait_after(
    workflow: Workflow[..., Any], attempt: int, error: BaseException
) -> timedelta | None:
    """Return how long to wait after *attempt*, None if it was the last; log what hinders that."""

    def tell(problem: str) -> None:
        logging.getLogger("kit").warning(
            "workflow %r: %s, after attempt %d had failed; Netlify's own wait counts, %s",
            workflow.event_name,
            problem,
            attempt,
            default_wait(attempt),
        )

    return workflow.retry.decide(attempt, error, tell)


def out_of_time(workflow: Workflow[..., Any], invocation: Invocation, seconds: float) -> Outcome:
    """Return what *invocation* comes to if it is cut after *seconds*."""
    if invocation.broken:
        return failed(workflow, invocation, invocation.broken)
    gate, memory = invocation.gate, invocation.memory
    sleeps = tuple(invocation.sleeping.under_way.values())
    if memory.has_outcomes or memory.dropped:
        return Suspended(memory.take(), sleeps, None, tuple(memory.dropped), goes_on=True)
    if sleeps and gate.is_busy:
        # another invocation has more time for what is busy, unless this one had most of it
        return Suspended((), sleeps, goes_on=gate.busy_for < seconds / 2)
    msg = (
        f"the workflow was cut off after {seconds:g} s, the limit of its function, with no step"
        " finished; make its steps shorter, or define it with background=True (15 minutes)"
    )
    error = WorkflowError(msg, code="FUNCTION_TIMED_OUT")
    return Failed(failure_of(error), wait_after(workflow, attempt_of(invocation.delivery), error))
