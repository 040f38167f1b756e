"""
`execute`: one delivery in, one outcome out. The same for the local engine, the deployed function
and the test kit; what differs is who stores the checkpoints.

It does no I/O of its own: it awaits the user's code, the checkpointer and `send`, and asks `now`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kit.execution.calling import call, is_async
from kit.execution.context import Context, PlainContext, PlainStep, Step
from kit.execution.invocation import Invocation, Observe, Send, current
from kit.execution.replay import CHANGED
from kit.model.delivery import (
    AfterStep,
    Checkpoint,
    Checkpointer,
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Outcome,
    Sleep,
    Suspended,
)
from kit.model.errors import PayloadError, ReplayError, WorkflowError
from kit.model.failure import failure_of
from kit.model.payload import dump_result, validate_input
from kit.model.workflow import Workflow, takes

CLEAN_UP_SECONDS = 5.0
"""How long `finally` blocks of a suspended handler may take before they are cancelled."""


@dataclass(frozen=True, slots=True)
class Suspending:
    """The checkpointer that stores nothing: every fresh step ends the invocation."""

    after_step: AfterStep = AfterStep.SUSPEND
    stopped: bool = False

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Do nothing: the outcome carries the checkpoints."""


async def execute(
    workflow: Workflow[..., Any],
    delivery: Delivery,
    checkpointer: Checkpointer,
    *,
    now: Callable[[], int],
    send: Send | None = None,
    observe: Observe | None = None,
    time_left: float | None = None,
    clean_up: float | None = None,
) -> Outcome:
    """
    Run one invocation of *workflow* as far as it will go.

    Steps in the delivery answer from memory. *now* gives milliseconds since the epoch. After
    *time_left* seconds the invocation is cut: what is fresh is handed over, and if nothing is,
    the attempt has failed. What is left of the handler then has *clean_up* seconds.
    """
    try:
        input = validate_input(workflow, delivery.event.data)
    except PayloadError as error:
        return Failed(failure_of(error), None)  # it would be as invalid the next time
    except Exception as error:  # noqa: BLE001 - a validator of the user's, or an annotation
        return Failed(failure_of(error), workflow.retry.decide(attempt_of(delivery), error))
    after = AfterStep.GATHER if workflow.checkpoints == "gather" else checkpointer.after_step
    invocation = Invocation(
        delivery, checkpointer, after=after, now=now, send=send, observe=observe
    )
    main = asyncio.create_task(_run_handler(workflow, input, invocation, now))
    invocation.begins(main, is_plain=not is_async(workflow.handler))
    try:
        async with asyncio.timeout(time_left):
            return await _drive(workflow, invocation, main)
    except TimeoutError:
        return _out_of_time(workflow, invocation, time_left or 0)
    finally:
        await invocation.close(CLEAN_UP_SECONDS if clean_up is None else clean_up)


def attempt_of(delivery: Delivery) -> int:
    """Return the attempt a handler sees: the platform's, plus failures that became suspensions."""
    kinds = (checkpoint.kind for checkpoint in delivery.checkpoints.values())
    return delivery.attempt + sum(kind is CheckpointKind.RETRY for kind in kinds)


async def _run_handler(
    workflow: Workflow[..., Any], input: Any, invocation: Invocation, now: Callable[[], int]
) -> str:
    current.set((invocation, None))
    taken = takes(workflow)
    arguments = (input, _context(workflow, invocation, now))[:taken] if taken else ()
    return dump_result(await call(workflow.handler, arguments, {}))


def _context(
    workflow: Workflow[..., Any], invocation: Invocation, now: Callable[[], int]
) -> Context | PlainContext:
    delivery = invocation.delivery
    step = Step(invocation)
    facts = (
        delivery.provider,
        delivery.event.id,
        workflow.event_name,
        attempt_of(delivery),
        invocation,
        now,
    )
    if invocation.is_plain:
        return PlainContext(*facts, step=PlainStep(step, asyncio.get_running_loop()))
    return Context(*facts, step=step)


async def _drive(
    workflow: Workflow[..., Any], invocation: Invocation, main: asyncio.Task[str]
) -> Outcome:
    while True:
        await invocation.settled()
        if main.done():
            return _ending(workflow, invocation, main)
        if invocation.broken:
            return _failure(workflow, invocation, invocation.broken)
        if await invocation.stays_parked():
            sleeps = () if invocation.stopping else tuple(invocation.sleeps)
            return Suspended(invocation.hand_over(caught=True), sleeps)


def _ending(
    workflow: Workflow[..., Any], invocation: Invocation, main: asyncio.Task[str]
) -> Outcome:
    if invocation.broken:
        return _failure(workflow, invocation, invocation.broken)
    if main.cancelled():
        error: BaseException = RuntimeError("the handler was cancelled from within")
        return _failure(workflow, invocation, error)
    raised = main.exception()
    if raised is not None:
        return _failure(workflow, invocation, raised)
    if invocation.gone:
        msg = (
            f"the handler ended without asking for {invocation.gone}, which the run has recorded:"
            f" {CHANGED}"
        )
        replay = ReplayError(msg, run_id=invocation.delivery.event.id)
        return _failure(workflow, invocation, replay)
    return Completed(main.result(), invocation.hand_over(caught=True))


def _failure(workflow: Workflow[..., Any], invocation: Invocation, error: BaseException) -> Outcome:
    """Fail; or suspend for as long as the backoff, if there are fresh checkpoints to keep."""
    if not isinstance(error, Exception):
        raise error
    attempt = attempt_of(invocation.delivery)
    failure = failure_of(error, invocation.step_of(error))
    wait = workflow.retry.decide(attempt, error)
    fresh = invocation.hand_over(caught=False)
    if fresh and wait is not None:
        return Suspended(fresh, (_retry_sleep(attempt, wait),), failure)
    return Failed(failure, wait, fresh)


def _retry_sleep(attempt: int, wait: timedelta) -> Sleep:
    return Sleep(f"kit:retry:{attempt}", wait, CheckpointKind.RETRY)


def _out_of_time(workflow: Workflow[..., Any], invocation: Invocation, seconds: float) -> Outcome:
    fresh = invocation.hand_over(caught=False)
    if fresh:
        return Suspended(fresh)
    msg = (
        f"the workflow was cut off after {seconds:g} s, the limit of its function, with no step"
        " finished; make its steps shorter, or define it with background=True (15 minutes)"
    )
    error = WorkflowError(msg, code="FUNCTION_TIMED_OUT")
    wait = workflow.retry.decide(attempt_of(invocation.delivery), error)
    return Failed(failure_of(error), wait)
