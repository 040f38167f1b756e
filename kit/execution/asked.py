"""
Who waits for what is recorded, by its id.

Nearly always that is one. Several are those who send one event, by its key, side by side: then all
of them go on with it, one after the other, as they came.
"""

from __future__ import annotations

import asyncio


class Asked:
    """The turns of those who wait, in the order in which they asked."""

    def __init__(self) -> None:
        self._turns: dict[str, list[asyncio.Future[None]]] = {}
        self._begun: list[str] = []  # of these, the first has gone on
        self._passing: set[str] = set()  # what has its turn even if nobody waits for it

    def enter(self, step_id: str, turn: asyncio.Future[None]) -> None:
        """Note who waits for what has *step_id*."""
        self._turns.setdefault(step_id, []).append(turn)

    def leave(self, step_id: str, turn: asyncio.Future[None]) -> None:
        """Note that who had *turn* waits no more."""
        self._turns[step_id].remove(turn)
        if not self._turns[step_id]:
            del self._turns[step_id]

    def has(self, step_id: str) -> bool:
        """Tell whether anybody waits for what has *step_id*, and is not about to go on."""
        return any(not turn.done() for turn in self._turns.get(step_id, ()))

    def let_pass(self, step_id: str) -> None:
        """Let what has *step_id* have its turn with those who wait for it by then, if any do."""
        self._passing.add(step_id)

    @property
    def ids(self) -> list[str]:
        """What anybody waits for, in the order in which it was asked for first."""
        return [step_id for step_id in self._turns if self.has(step_id)]

    def let_go(self, step_id: str) -> bool:
        """
        Let the first go on who waits for what has *step_id*.

        Tell whether there is one, or need not be; the others are let go by `let_next`.
        """
        turns = self._turns.get(step_id, ())
        if any(settle(turn) for turn in turns):
            if len(turns) > 1:
                self._begun.append(step_id)
            return True
        is_passing = step_id in self._passing
        self._passing.discard(step_id)
        return is_passing

    def let_next(self) -> bool:
        """Let the next go on who waits for what another has gone on with; tell whether one does."""
        while self._begun:
            if self.let_go(self._begun.pop(0)):
                return True
        return False


def settle(turn: asyncio.Future[None] | None) -> bool:
    """Let who has *turn* go on; tell whether anybody has it, and was not about to."""
    if turn is not None and not turn.done():
        turn.set_result(None)
        return True
    return False
