"""What to say of steps that are used as they cannot be."""

from __future__ import annotations

import inspect
from typing import Any

from kit.model.errors import StepUsageError


def no_function(step_id: str, given: Any) -> StepUsageError:
    """Return the error for a step that is *given* something that cannot be called."""
    if inspect.iscoroutine(given):
        given.close()
        name = given.__name__
    else:
        name = "f"
    msg = (
        f"step {step_id!r} is given {given!r:.100}, not a function; did you forget that the step"
        f" calls it? Write step.run({step_id!r}, {name}) and its arguments, not {name}(…)"
    )
    return StepUsageError(msg, step_id=step_id)


def sleep_within(step_id: str, outer: str) -> StepUsageError:
    """Return the error for a sleep within a step, *outer*."""
    msg = (
        f"sleep {step_id!r} stands within step {outer!r}, which would have"
        " to run again after it; sleep between steps, not within one"
    )
    return StepUsageError(msg, step_id=step_id)


def in_another_loop(what: str, name: str) -> StepUsageError:
    """Return the error for a *what* of that *name* that is awaited by a loop of the user's."""
    msg = (
        f"{what} {name!r} is awaited in another event loop, such as that of an `asyncio.run`, and"
        " has not begun: steps belong to the event loop of their handler; await it there"
    )
    return StepUsageError(msg, step_id=name)
