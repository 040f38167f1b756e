"""
`execute`: one delivery in, one outcome out. The same for the local engine, the deployed function
and the test kit; what differs is who stores the checkpoints.

It does no I/O of its own: it awaits the user's code, the checkpointer and `send`, and asks `now`.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kit.execution.branch import Branch
from kit.execution.calling import call, is_async, is_signal, ordinary
from kit.execution.context import Context, PlainContext, PlainStep, Step
from kit.execution.invocation import Invocation, Send
from kit.execution.memory import CHANGED
from kit.execution.runner import Observe
from kit.model.annotations import dump_result, validate_input
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
from kit.model.duration import to_milliseconds
from kit.model.errors import PayloadError, ReplayError, StepUsageError, WorkflowError
from kit.model.failure import failure_of
from kit.model.running import current
from kit.model.workflow import Workflow, takes

CLEAN_UP_SECONDS = 5.0
"""How long `finally` blocks of a suspended handler may take before they are cancelled."""

LINGER_SECONDS = 5.0
"""How long a branch that is busy outside of steps is waited for beside a sleep that takes no time:
where that is skipped, or the clock is a test's."""


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
    linger: float | None = None,
) -> Outcome:
    """
    Run one invocation of *workflow* as far as it will go.

    Steps in the delivery answer from memory. *now* gives milliseconds since the epoch. After
    *time_left* seconds the invocation is cut: what is fresh is handed over, and if nothing is,
    the attempt has failed. What is left of the handler then has *clean_up* seconds.

    Beside a sleep, the invocation goes on for a branch that is busy outside of steps: as long as
    the sleep lasts, at most *linger* seconds. Then it ends, and what the branch has done outside of
    steps is done again after the sleep.
    """
    try:
        input = validate_input(workflow, delivery.event.data)
    except PayloadError as error:
        return Failed(failure_of(error), None)  # it would be as invalid the next time
    except Exception as error:  # noqa: BLE001 - a validator of the user's, or an annotation
        return Failed(failure_of(error), workflow.retry.decide(attempt_of(delivery), error))
    gathers = workflow.checkpoints == "gather"
    invocation = Invocation(
        delivery, checkpointer, gathers=gathers, now=now, send=send, observe=observe, linger=linger
    )
    gate = invocation.gate
    handler = Branch(_run_handler(workflow, input, invocation), gate)
    gate.begin(handler, is_plain=not is_async(workflow.handler))
    try:
        if time_left is None:  # as it is locally, where a time-out costs more than it is worth
            await gate.decided
        else:
            async with asyncio.timeout(time_left):
                await gate.decided
    except TimeoutError:
        return _out_of_time(workflow, invocation, time_left or 0)
    except WorkflowError as error:  # of the gate's
        return _failure(workflow, invocation, error)
    else:
        return _outcome(workflow, invocation)
    finally:
        invocation.promised.close(lambda: gate.coroutines)
        await gate.close(CLEAN_UP_SECONDS if clean_up is None else clean_up)
        if not gate.unfinished:
            invocation.let_go()


def attempt_of(delivery: Delivery) -> int:
    """Return the attempt a handler sees: the platform's, plus failures that became suspensions."""
    kinds = (checkpoint.kind for checkpoint in delivery.checkpoints.values())
    return delivery.attempt + sum(kind is CheckpointKind.RETRY for kind in kinds)


async def _run_handler(workflow: Workflow[..., Any], input: Any, invocation: Invocation) -> str:
    current.set((invocation, None))
    taken = takes(workflow)
    arguments = (input, _context(workflow, invocation))[:taken] if taken else ()
    handler = workflow.handler
    if invocation.gate.is_plain:
        handler = _seen(handler, invocation)
    result = await call(handler, arguments, {})
    try:
        return dump_result(result)
    except PayloadError as error:
        invocation.failures.give_up(error)
        raise


def _seen(handler: Callable[..., Any], invocation: Invocation) -> Callable[..., Any]:
    """Return *handler*, as it notes the thread that it runs in."""

    @functools.wraps(handler)
    def run(*args: Any) -> Any:
        invocation.gate.thread = threading.get_ident()
        return handler(*args)

    return run


def _context(workflow: Workflow[..., Any], invocation: Invocation) -> Context | PlainContext:
    delivery = invocation.delivery
    facts = (
        delivery.provider,
        delivery.event.id,
        workflow.event_name,
        attempt_of(delivery),
        invocation,
    )
    if invocation.gate.is_plain:
        return PlainContext(*facts, step=PlainStep(invocation))
    return Context(*facts, step=Step(invocation))


def _outcome(workflow: Workflow[..., Any], invocation: Invocation) -> Outcome:
    """Return what the invocation has come to, now that nothing is open."""
    main = invocation.gate.main
    if invocation.broken:
        return _failure(workflow, invocation, invocation.broken)
    if not main.done():
        return _suspended(invocation)
    if main.cancelled():
        error: BaseException = RuntimeError("the handler was cancelled from within")
        return _failure(workflow, invocation, error)
    raised = main.exception()
    if raised is not None:
        return _failure(workflow, invocation, raised)
    if invocation.gate.held:  # it has passed by what is to answer first
        return _suspended(invocation)
    forgotten = invocation.promised.forgotten()
    if forgotten:
        return _failure(workflow, invocation, _never_awaited(forgotten))
    if not invocation.memory.is_used_up and invocation.memory.missed:
        return _failure(workflow, invocation, _missed(invocation))
    return Completed(main.result(), invocation.memory.take())


def _never_awaited(forgotten: list[str]) -> StepUsageError:
    msg = (
        f"the handler ended with {', '.join(forgotten)} never awaited, so that nothing of it has"
        " happened: write `await` before it, or await the task that it is given to"
    )
    return StepUsageError(msg, step_id=forgotten[0])


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


def _failure(workflow: Workflow[..., Any], invocation: Invocation, error: BaseException) -> Outcome:
    """Fail; or suspend for as long as the backoff, if there is something to keep or to forget."""
    if is_signal(error):
        raise error
    if not isinstance(error, Exception):  # as a coroutine that closes itself
        error = ordinary(error, workflow.handler)
    failures, memory = invocation.failures, invocation.memory
    attempt = attempt_of(invocation.delivery)
    failure = failure_of(error, failures.step_of(error))
    wait = None if failures.is_hopeless(error) else workflow.retry.decide(attempt, error)
    forgotten = memory.forget(failures.to_blame(error))
    is_worth_it = bool(forgotten) or memory.has_outcomes
    fresh = memory.take()
    if wait is None or not is_worth_it:
        return Failed(failure, wait, fresh, forgotten)
    due = invocation.now() + to_milliseconds(wait)
    sleep = Sleep(f"kit:retry:{attempt}", due, CheckpointKind.RETRY)
    return Suspended(fresh, (sleep,), failure, forgotten)


def _out_of_time(workflow: Workflow[..., Any], invocation: Invocation, seconds: float) -> Outcome:
    gate, sleeps = invocation.gate, tuple(invocation.sleeping.under_way.values())
    if invocation.memory.has_outcomes:
        return Suspended(invocation.memory.take(), sleeps, goes_on=True)
    if sleeps and gate.is_busy:
        # another invocation has more time for what is busy, unless this one had most of it
        return Suspended((), sleeps, goes_on=gate.busy_for < seconds / 2)
    msg = (
        f"the workflow was cut off after {seconds:g} s, the limit of its function, with no step"
        " finished; make its steps shorter, or define it with background=True (15 minutes)"
    )
    error = WorkflowError(msg, code="FUNCTION_TIMED_OUT")
    wait = workflow.retry.decide(attempt_of(invocation.delivery), error)
    return Failed(failure_of(error), wait)
