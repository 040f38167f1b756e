"""
What a branch is at that does not wait with us: whether it could go on by itself.

It is read off its coroutine, which shows what it awaits. Where that cannot be read, a branch counts
as busy, which costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import gc
import types
from asyncio import locks, queues, taskgroups, tasks
from collections.abc import Container
from enum import Enum
from typing import Any, NamedTuple

from kit.execution.branch import Branch, Task


class At(Enum):
    """What a branch is at."""

    MOVING = "moving"  # it is about to go on
    BUSY = "busy"  # it waits for something from outside, or nobody can tell
    ON_TASKS = "on-tasks"  # it waits for other tasks of its invocation
    ON_OTHERS = "on-others"  # … for a lock, an event or a queue, so most likely for one of them

    __hash__ = object.__hash__


class Standing(NamedTuple):
    """What a branch is at; and the one future that it waits for, where that can be read."""

    at: At
    future: Any = None


def standing_of(branch: Branch, others: Container[Task]) -> Standing:
    """Tell what *branch* is at, in an invocation that has the tasks *others*."""
    chain = awaited_in(branch.coroutine)
    if branch.is_driven:
        future = branch.awaited
        if future is None:
            return Standing(At.MOVING)  # it runs, or has not begun, or lets others go first
    elif isinstance(chain[-1], _RUNNING):
        return Standing(At.MOVING)
    else:
        future = _future_in(chain[-1])
    if not asyncio.isfuture(future):
        return Standing(At.BUSY)
    if future.done():
        return Standing(At.MOVING, future)
    called = _called_of_asyncio(chain)
    if _waits_for_tasks(called, others) or _are_tasks(_parts_of(future), others):
        return Standing(At.ON_TASKS, future)
    if called is not None and called.cr_code.co_filename in (locks.__file__, queues.__file__):
        return Standing(At.ON_OTHERS, future)
    return Standing(At.BUSY, future)


def place_of(branch: Branch) -> object:
    """Return what *branch* awaits, to see whether it has moved: another place is another."""
    return awaited_in(branch.coroutine)[-1]


def place_in_code(branch: Branch) -> str | None:
    """Return where in the user's code *branch* waits, as file and line; None if none is seen."""
    chain = awaited_in(branch.coroutine)
    frames = [getattr(each, name, None) for each in chain for name in _FRAMES]
    ours = [each for each in frames if each and not _is_inside(each.f_code.co_filename)]
    return f"{ours[-1].f_code.co_filename}:{ours[-1].f_lineno}" if ours else None


def _is_inside(file: str) -> bool:
    return file.startswith((_ASYNCIO, _KIT))


def _future_in(leaf: Any) -> Any:
    futures = [each for each in gc.get_referents(leaf) if asyncio.isfuture(each)]
    return futures[0] if len(futures) == 1 else None


def awaited_in(coroutine: Any) -> list[Any]:
    """Return *coroutine*, what it awaits, what that awaits, and so on."""
    chain = [coroutine]
    while True:
        inner = _awaited_by(chain[-1])
        if inner is None:
            return chain
        chain.append(inner)


def _awaited_by(outer: Any) -> Any:
    if type(outer).__name__ in _STEPS_OF:
        return next(iter(gc.get_referents(outer)), None)  # before what is sent or thrown
    return next((each for name in _AWAITED if (each := getattr(outer, name, None))), None)


def _called_of_asyncio(chain: list[Any]) -> Any:
    """Return the coroutine of asyncio's that the user's code awaits, or None."""
    called = None
    for each in reversed(chain[:-1]):
        file = each.cr_code.co_filename if isinstance(each, types.CoroutineType) else ""
        if not file.startswith(_ASYNCIO):
            break
        called = each
    return called


def _waits_for_tasks(called: Any, others: Container[Task]) -> bool:
    """Tell whether the code called last waits for *others*, by what asyncio has for that."""
    if called is None or called.cr_code.co_filename not in (tasks.__file__, taskgroups.__file__):
        return False
    if called.cr_code.co_filename == taskgroups.__file__:
        return True
    names = called.cr_frame.f_locals
    if called.cr_code is not asyncio.wait.__code__ or names.get("timeout") is not None:
        return False  # it goes on by itself, or `reach` tells
    return _are_tasks(list(names["fs"]), others)


def _parts_of(future: Any) -> list[Any]:
    """Return the futures that *future* waits for: itself if it is a task, those `gather` has."""
    if isinstance(future, asyncio.Task):
        return [future]
    if type(future) is asyncio.Future:
        return []
    held = gc.get_referents(future)
    for each in list(held):
        held += each.values() if isinstance(each, dict) else ()
    return [
        part for each in held if isinstance(each, list) for part in each if asyncio.isfuture(part)
    ]


def _are_tasks(parts: list[Any], others: Container[Task]) -> bool:
    left = [part for part in parts if not part.done()]
    return bool(left) and all(part in others for part in left)


_RUNNING = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")
_FRAMES = ("cr_frame", "ag_frame")
_STEPS_OF = (
    "async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper",
)  # fmt: skip
"""What is awaited in place of an asynchronous generator or a coroutine, and has no attributes."""
_ASYNCIO = asyncio.__file__.rpartition("__init__")[0]
_KIT = __file__.rpartition("execution")[0]
