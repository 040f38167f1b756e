"""
The timers that a handler has set around what it waits for, as `asyncio.timeout` does.

They live as long as the invocation. One that ends before any sleep does is waited for where it is:
after the sleep it would begin anew, too late to end it.
"""

from __future__ import annotations

import asyncio
import gc
import types
from collections.abc import Iterable, Iterator
from typing import Any

from kit.execution.branch import Branch
from kit.execution.standing import awaited_in

_MOST = 200
"""How many objects are looked at for each branch; what stands around an `await` is a handful."""

_ENDING = 5.0
"""For how many seconds one that is over may not have had its effect, where much is going on."""

_FOLLOWED = (types.MethodType, types.GeneratorType, types.AsyncGeneratorType, types.CellType)


def soonest(branches: Iterable[Branch], now: float) -> float:
    """Return when, by the loop's time, the next timer of *branches* ends; infinity for none."""
    whens = (timer.when() for each in branches for timer in _timers_of(each))
    return min((when for when in whens if when > now - _ENDING), default=float("inf"))


def _timers_of(branch: Branch) -> Iterator[asyncio.TimerHandle]:
    todo: list[Any] = [
        held for each in awaited_in(branch.coroutine) for held in gc.get_referents(each)
    ]
    seen: set[int] = set()
    while todo and len(seen) < _MOST:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, asyncio.TimerHandle):
            if not thing.cancelled():
                yield thing
        elif isinstance(thing, _FOLLOWED):
            todo += gc.get_referents(thing)
        elif _is_around(type(thing)):
            todo += _held_by(thing)


def _is_around(kind: type) -> bool:
    """Tell whether it may stand in a `with`, as what sets a timer does; or is `as_completed`."""
    stands = hasattr(kind, "__aexit__") or hasattr(kind, "__exit__")
    return stands or kind.__module__ == asyncio.tasks.__name__


def _held_by(thing: Any) -> list[Any]:
    held = gc.get_referents(thing)
    return held + [item for each in held if isinstance(each, dict) for item in each.values()]
