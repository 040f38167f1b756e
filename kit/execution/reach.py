"""
Whether anybody but some tasks could wake one of them.

A lock that was made in a handler can be released by its branches only. So can one that lies in
whatever they hold, unless somebody else holds it as well: a module, a timer, a thread, another run.
That is counted, as the garbage collector counts it for circles: all that leads to the future from
the tasks is walked through; what is referred to more often than was found on the way is held by
others, and so is all that it leads to.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
import weakref
from collections import Counter
from collections.abc import Iterable
from contextvars import Context
from typing import Any

from kit.execution.branch import Branch

_MOST = 50_000
"""How many objects are walked through at most; it takes some microseconds each."""

_CLOSED = (type, types.ModuleType, types.CodeType, asyncio.AbstractEventLoop, Context)
"""What is not walked into: it belongs to everybody."""


def wakeable(waiting: Iterable[Branch], roots: Iterable[Any]) -> list[Branch] | None:
    """
    Return those of *waiting* that others may wake, if *roots* are all there is of their tasks.

    Where a timer is about, that is all of them: it may end what any waits for. None is returned if
    there is too much to be looked at.
    """
    known = {id(each): each for each in roots}
    inside = set(known)
    counts = _walk(known)
    if counts is None:
        return None
    if any(_is_timer(each) for each in known.values()):
        return list(waiting)
    held = {key: known[key] for key in _held_elsewhere(known, counts) if key not in inside}
    _walk(held, inside)
    return [each for each in waiting if id(each.awaited) in held]


def _is_timer(thing: Any) -> bool:
    return isinstance(thing, asyncio.TimerHandle) and not thing.cancelled()


def _walk(known: dict[int, Any], never: Iterable[int] = ()) -> Counter[int] | None:
    """Add to *known* all that it leads to; return how often each was found, None if it is much."""
    counts: Counter[int] = Counter()
    todo, closed = list(known.values()), set(never)
    while todo:
        if len(known) > _MOST:
            return None
        for each in _referents(todo.pop()):
            key = id(each)
            counts[key] += 1
            if key not in known and key not in closed:
                known[key] = each
                todo.append(each)
    return counts


def _referents(thing: Any) -> list[Any]:
    if isinstance(thing, types.FunctionType):  # its module is everybody's
        return [
            each
            for each in (
                thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__
            )
            if each
        ]  # fmt: skip
    if isinstance(thing, _CLOSED) or not gc.is_tracked(thing):
        return []
    if type(thing).__module__.startswith("kit.") and not isinstance(thing, Branch | tuple):
        return []  # what holds the invocation together
    return gc.get_referents(thing)


def _held_elsewhere(known: dict[int, Any], counts: Counter[int]) -> list[int]:
    """Return the ids of what is referred to more often than was found."""
    measure = object()
    known[id(measure)] = measure
    ids = list(known)
    references = [sys.getrefcount(known[key]) for key in ids]
    found = [counts[key] for key in ids]
    least = references[-1] - 1  # what is ours of the references to it: but its name here
    del known[ids.pop()], measure
    return [
        key
        for key, has, was in zip(ids, references, found, strict=False)
        if (has > least + was or _is_held_weakly(known[key])) and not _has_ended(known[key])
    ]


def _has_ended(thing: Any) -> bool:
    """Tell whether *thing* is a task, say, that wakes nobody any more, whoever looks at it."""
    return asyncio.isfuture(thing) and thing.done()


def _is_held_weakly(thing: Any) -> bool:
    """Tell whether somebody may find *thing* without holding it: a connection its reader, say."""
    its_loop = isinstance(thing, types.AsyncGeneratorType)  # notes it, to close it in the end
    return not isinstance(thing, types.FunctionType) and weakref.getweakrefcount(thing) > its_loop
