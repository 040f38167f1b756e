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
from kit.execution.calling import call, is_async
from kit.execution.context import Context, PlainContext, PlainStep, Step
from kit.execution.invocation import Invocation
from kit.execution.outcomes import attempt_of, failed, out_of_time, outcome_of, wait_after
from kit.execution.runner import Observe
from kit.execution.sending import Send
from kit.model.annotations import dump_result, validate_input
from kit.model.delivery import (
    AfterStep,
    Checkpoint,
    Checkpointer,
    Delivery,
    Failed,
    Outcome,
)
from kit.model.errors import PayloadError, WorkflowError
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
        return Failed(failure_of(error), wait_after(workflow, attempt_of(delivery), error))
    gathers = workflow.checkpoints == "gather"
    invocation = Invocation(
        delivery, checkpointer, gathers=gathers, now=now, send=send, observe=observe, linger=linger
    )
    gate = invocation.gate
    handler = Branch(_run_handler(workflow, input, invocation), gate)
    gate.begin(handler, is_plain=not is_async(workflow.handler))
    try:
        return await _decided(workflow, invocation, time_left)
    finally:
        invocation.promised.close(lambda: gate.coroutines)
        await gate.close(CLEAN_UP_SECONDS if clean_up is None else clean_up)
        if not gate.unfinished:
            invocation.let_go()


async def _decided(
    workflow: Workflow[..., Any], invocation: Invocation, time_left: float | None
) -> Outcome:
    """Return what *invocation* comes to, as soon as that is known."""
    decided = invocation.gate.decided
    try:
        if time_left is None:  # as it is locally, where a time-out costs more than it is worth
            await decided
        else:
            async with asyncio.timeout(time_left):
                await decided
    except TimeoutError:
        return out_of_time(workflow, invocation, time_left or 0)
    except WorkflowError as error:  # of the gate's
        return failed(workflow, invocation, error)
    return outcome_of(workflow, invocation)


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
