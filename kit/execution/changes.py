"""What is said of code that was changed while a run was under way, and fits it no more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from kit.execution.branch import Branch
from kit.execution.memory import CHANGED, Memory
from kit.execution.standing import place_in_code
from kit.model.errors import ReplayError


class Changes:
    """
    What of the code of one run, *run_id*, no longer fits what it has recorded.

    *breaks* is told of what is certain, and ends the run; of what may yet change, the log is.
    """

    def __init__(self, run_id: str, memory: Memory, breaks: Callable[[ReplayError], None]) -> None:
        self._run_id, self._memory, self._breaks = run_id, memory, breaks
        self._is_told = False

    def unasked(self, asked: str | None, is_busy: bool) -> None:
        """Say that nobody can ask for what is recorded; as long as it *is_busy*, so far."""
        new = f"the handler asks for {asked!r} as a new step, but never" if asked else "nobody asks"
        recorded = self._memory.unasked
        if not is_busy:
            self._refuse(f"{new} for {recorded}")
        elif recorded:
            self._warn(f"{new} for {recorded} so far, which comes first; something else is busy")

    def stands(self, is_in_vain: bool, branches: Iterable[Branch]) -> None:
        """Say that nobody asks for anything, and *branches* wait outside of steps."""
        places = dict.fromkeys(filter(None, map(place_in_code, branches)))
        at = f"the handler waits at {', '.join(places) or 'a place that is not known'}"
        recorded = self._memory.unasked
        if not is_in_vain:
            if recorded:
                self._warn(f"{at} for a minute, and has not asked for {recorded} yet")
        elif recorded:
            self._refuse(f"{at} for what nobody brings about, and so never asks for {recorded}")
        else:
            self._warn(
                f"{at} for what nobody holds on to, and so nobody brings about, as it seems; stop"
                " the run if that is so"
            )

    def _refuse(self, what: str) -> None:
        msg = f"{what}, which the run has recorded: {CHANGED}"
        self._breaks(ReplayError(msg, run_id=self._run_id))

    def _warn(self, what: str) -> None:
        if not self._is_told:
            self._is_told = True
            logging.getLogger("kit").warning("run %s waits: %s", self._run_id, what)
