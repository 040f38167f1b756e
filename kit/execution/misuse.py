"""What to say of steps that are used as they cannot be."""

from __future__ import annotations

import inspect
from typing import Any

from kit.model.errors import StepUsageError
from kit.model.text import call_of


def no_function(step_id: str, given: Any) -> StepUsageError:
    """Return the error for a step that is *given* something that cannot be called."""
    name, said = "f", f"{given!r:.100}"
    if inspect.iscoroutine(given):
        name, said = given.__name__, f"what {call_of(given)} returns"
        given.close()
    msg = (
        f"step {step_id!r} is given {said}, not a function; did you forget that the step"
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


def never_awaited(who: str, forgotten: list[str]) -> StepUsageError:
    """Return the error for *who*, the handler or a step, has ended before what it asked for."""
    msg = (
        f"{who} ended with {', '.join(forgotten)} never awaited, so that nothing of it has"
        " happened: write `await` before it, or await the task that it is given to"
    )
    return StepUsageError(msg, step_id=forgotten[0])
