"""How what is left of a handler ends, once the outcome of its invocation is decided."""

from __future__ import annotations

import asyncio
from typing import Protocol

from kit.execution.branch import Branch, Task
from kit.execution.standing import At, place_of, standing_of

QUIET_TURNS = 4
"""Turns of the loop in which nothing happens, before anything is made of it: a task that has ended
is known to who waits for it after two, and each task that ends begins the count again."""

_CANCELS = 5
_CANCEL_SECONDS = 0.1


class Unwound(Protocol):
    """The tasks of an invocation, as far as they are to be ended; see `Gate`."""

    branches: dict[Task, Branch]

    @property
    def unfinished(self) -> dict[Task, Branch]:
        """Those that have not ended."""

    @property
    def is_listened_to(self) -> bool:
        """Whether there is a point in waiting for them."""

    def raise_suspend(self) -> None:
        """Raise `Suspend` in those that wait with us."""

    def is_in_thread(self, task: Task) -> bool:
        """Tell whether nobody can see where *task* is."""


async def unwind(gate: Unwound, grace: float) -> None:
    """
    Unwind all that is left of a handler.

    `Suspend` is raised in what waits with us; what that does not move is cancelled. Clean-up in
    user code gets *grace* seconds, then it is cancelled. What swallows that too is left where it
    is, never to be resumed.
    """
    await _reach(gate)
    await _ended_within(gate, grace)
    for _ in range(_CANCELS):
        for task in gate.unfinished:
            task.cancel()
        await _ended_within(gate, _CANCEL_SECONDS)
    for task, branch in gate.unfinished.items():
        branch.leave()
        task.cancel()
    await _ended_within(gate, _CANCEL_SECONDS)


async def _reach(gate: Unwound) -> None:
    """Raise `Suspend` where that can be done, and cancel what it does not move."""
    before = {
        task: (branch, place_of(branch))
        for task, branch in gate.unfinished.items()
        if not gate.is_in_thread(task)
    }
    for task, branch in gate.branches.items():
        # who only waits for those that have asked is not to take that for an answer
        waits = branch.has_asked or standing_of(branch, gate.branches).at is At.ON_TASKS
        if waits and not gate.is_in_thread(task):
            branch.interrupt()
    gate.raise_suspend()
    for _ in range(QUIET_TURNS * 3):
        await asyncio.sleep(0)
    for task, (branch, place) in before.items():
        if not task.done() and place_of(branch) is place:
            task.cancel()


async def _ended_within(gate: Unwound, seconds: float) -> None:
    """Wait for all tasks, at most *seconds*, and not where there is no point."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until and gate.is_listened_to:
        left = gate.unfinished
        if not left:
            return
        await asyncio.wait(left, timeout=min(seconds, 0.05))
