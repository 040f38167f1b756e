"""
Looking who can go on: one at a time, when all is quiet.

* Who cannot go on yet waits with us. When all is quiet, the next one is let go on; one at a time,
  so that what follows from one has happened before the next: `asyncio.wait(FIRST_COMPLETED)`
  finds at a replay what it found before.
* When nobody can go on, the invocation is *stuck*: nothing is open, and every branch waits with us,
  or for others that do. A branch that is busy elsewhere is waited for; what that means for the
  others is looked at after some time. Being wrong about it costs time only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from kit.execution.branch import Branch, State
from kit.execution.idling import all_wait
from kit.execution.reach import wakeable
from kit.execution.standing import At, Standing, standing_of
from kit.execution.timers import soonest
from kit.execution.unwinding import QUIET_TURNS
from kit.execution.watching import Watch
from kit.model.errors import WorkflowError

if TYPE_CHECKING:
    from kit.execution.gate import Gate

GRACE_SECONDS = 1.0
"""How long an invocation that has nothing else to do waits for a branch that is busy elsewhere,
before it stores what is held, and looks at its sleeps."""

_MOVING_TURNS = 100
_MOST_LOOKS = 8


class Stuck(Enum):
    """How it is known that nobody can go on."""

    SURELY = "surely"  # everybody waits with us, or for others that do
    BY_LOCKS = "by locks"  # … some of them for a lock, a queue or the like, of their own
    BUT_CUT_OFFS = "but cut-offs"  # … or to be cut off, as before
    IT_SEEMS = "it seems"  # … or for a lock, a queue or the like, which may be others' as well
    FOR_LONG = "for long"  # somebody is busy elsewhere, and time is up


class Looking:
    """
    What looks, for the branches of *gate*, who can go on; see there.

    `busy_since` is when, by the loop's time, nothing was left but branches that are busy elsewhere.
    """

    def __init__(
        self, gate: Gate, go_on: Callable[[], bool], stuck: Callable[[Stuck], bool]
    ) -> None:
        self.busy_since: float | None = None
        self._gate = gate
        self._go_on, self._stuck = go_on, stuck
        self._turns = self._looks = 0
        self._is_looking = self._waited = self._was_woken = False
        self._is_too_much = False
        self._timer: asyncio.TimerHandle | None = None
        self._later: asyncio.TimerHandle | None = None
        self.watch = Watch(gate)

    def stir(self) -> None:
        """Look soon, since something has changed."""
        self.busy_since = None
        self._look_soon()

    def _look_soon(self) -> None:
        self._gate.quiet = self._turns = 0
        self._waited = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._is_looking:
            self._is_looking = True
            self._gate.loop.call_soon(self._look)

    def end(self) -> None:
        """Look no more."""
        self.watch.end()
        for timer in (self._timer, self._later):
            if timer:
                timer.cancel()

    def _look(self) -> None:
        self._is_looking = False
        gate = self._gate
        if gate.is_decided:
            return
        gate.quiet += 1
        self._turns += 1
        if gate.quiet > QUIET_TURNS and not self._strangers_move():
            self._guarded(self._act)
        elif self._turns > _MOVING_TURNS:
            gate.was_busy = True
            self._guarded(self._act)
        else:
            self._is_looking = True
            gate.loop.call_soon(self._look)

    def _guarded(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - nobody else would look any more
            msg = f"the kit could not tell who is to go on: {type(error).__name__}: {error}"
            failed = WorkflowError(msg, code="EXECUTION_FAILED")
            failed.__cause__ = error
            self._gate.decide(failed)

    def _act(self) -> None:
        """Let somebody go on; and if nobody can, see to that."""
        gate = self._gate
        if not gate.waits:
            return
        if self._go_on():
            self.stir()
            return
        if gate.held and not gate.is_plain:  # its threads ask when they please
            gate.is_past_held = True
        if gate.open or gate.ended:
            return  # who closes what is open stirs again
        if (how := self._stands_still()) is not None and self._stuck(how):
            self.stir()
        elif how is not Stuck.SURELY and not gate.is_decided:
            self.busy_since = self.busy_since or gate.loop.time()
            soon = gate.is_plain and gate.held and all_wait(gate.thread)
            self._set_timer(GRACE_SECONDS / 20 if soon else GRACE_SECONDS)

    def later(self, look: Callable[[], None]) -> None:
        """Have *look* called after the grace; once, however often that is asked for meanwhile."""
        # not held by a frame of a branch: there it would be taken for a timer of the handler's
        if self._later is None:
            self._later = self._gate.loop.call_later(GRACE_SECONDS, self._look_late, look)

    def _look_late(self, look: Callable[[], None]) -> None:
        self._later = None
        self._guarded(look)

    @property
    def waits_for_cut_offs(self) -> bool:
        """Whether nobody can go on unless somebody is cut off, as before."""
        return self._stands_still() is Stuck.BUT_CUT_OFFS

    def _set_timer(self, seconds: float) -> None:
        self._timer = self._gate.loop.call_later(seconds, self._guarded, self._late)

    def _late(self) -> None:
        self._timer = None
        gate = self._gate
        if gate.open or gate.ended or gate.is_decided or not gate.waits:
            return
        woken = any(_is_woken(each) for each in gate.branches.values())
        self._was_woken = woken and not self._was_woken
        if self._was_woken:  # by a timer of the handler's that is over as well; or at every turn
            self._look_soon()
            return
        waits = gate.is_plain and all_wait(gate.thread)
        gate.all_wait, self._waited = waits and self._waited, waits  # one look may be by chance
        how = self._stands_still()  # somebody may have come to wait for a lock meanwhile
        if self._stuck(how if how in (Stuck.SURELY, Stuck.BY_LOCKS) else Stuck.FOR_LONG):
            self.stir()
        elif not gate.is_decided:
            self._set_timer(GRACE_SECONDS / 20 if waits and not gate.all_wait else GRACE_SECONDS)

    def _strangers_move(self) -> bool:
        return self._gate.has_strangers and any(
            not each.is_driven and standing_of(each, self._gate.branches).at is At.MOVING
            for each in self._between_steps()
        )

    def _between_steps(self) -> list[Branch]:
        return [each for each in self._gate.branches.values() if each.state is State.BETWEEN_STEPS]

    def say(self, is_in_vain: bool) -> None:
        """Say how all wait, who are elsewhere."""
        self._guarded(lambda: self._gate.say(is_in_vain, self._between_steps()))

    @property
    def is_in_vain(self) -> bool:
        """Whether everybody waits for others that do, and nobody else can wake any of them."""
        return self._stands_still() in (Stuck.SURELY, Stuck.BY_LOCKS)

    def _stands_still(self) -> Stuck | None:
        """Tell how everybody waits for others; None if anybody is busy elsewhere, or timed."""
        if self._is_timed():
            return None
        unclear: list[Branch] = []
        seems = True
        for each in self._between_steps():
            at = self._standing(each).at
            if at is At.MOVING:
                return None
            if at is not At.ON_TASKS:
                unclear.append(each)
                seems = seems and at is At.ON_OTHERS
        if unclear:
            return self._by_locks(unclear, seems=seems)
        return Stuck.BUT_CUT_OFFS if self._has_cut_offs() else Stuck.SURELY

    def _is_timed(self) -> bool:
        """Tell whether all sleep, and a timer of the handler's ends before any sleep does."""
        seconds = None if self._gate.held else self._gate.asleep_for()
        return seconds is not None and self.has_timer(seconds)

    def has_timer(self, seconds: float) -> bool:
        """Tell whether a timer of the handler's ends within *seconds*."""
        now = self._gate.loop.time()
        return soonest(self._gate.branches.values(), now) < now + seconds

    @property
    def has_limit(self) -> bool:
        """Whether a timer is about that may yet cut somebody off, as before."""
        return self.has_timer(float("inf"))

    def _by_locks(self, unclear: list[Branch], *, seems: bool) -> Stuck | None:
        """Tell the same where *unclear* wait for what others may have to do with."""
        if seems and self._gate.held:
            return Stuck.IT_SEEMS  # there is something to store, and all goes on with it at once
        others = self._wakeable(unclear)
        if others is None:
            return Stuck.IT_SEEMS if seems else None
        if others:
            return None
        return Stuck.BUT_CUT_OFFS if self._has_cut_offs() else Stuck.BY_LOCKS

    def is_outside(self, branch: Branch) -> bool:
        """Tell whether *branch* waits for something from outside, as far as a few looks tell."""
        if standing_of(branch, self._gate.branches).at is not At.BUSY:
            return False
        self._looks += 1
        return self._looks > _MOST_LOOKS or self._wakeable([branch]) != []

    def _wakeable(self, waiting: list[Branch]) -> list[Branch] | None:
        """Return those that others may wake; None if that cannot be told."""
        if self._is_too_much or not all(each.is_driven for each in waiting):
            return None
        gate = self._gate
        kept = [each for holder in gate.kept for each in vars(holder).values()]
        roots = [*gate.branches, *gate.branches.values(), *kept]
        found = wakeable(waiting, roots)
        self._is_too_much = found is None
        return found

    def _has_cut_offs(self) -> bool:
        return any(each.state is State.TO_BE_CUT_OFF for each in self._gate.branches.values())

    def _standing(self, branch: Branch) -> Standing:
        gate = self._gate
        if gate.is_plain and branch is gate.branches.get(gate.main):
            return Standing(At.ON_TASKS if gate.from_handler else At.BUSY)
        return standing_of(branch, gate.branches)


def _is_woken(branch: Branch) -> bool:
    """Tell whether *branch* is about to go on, as one that is cancelled."""
    return asyncio.isfuture(branch.awaited) and branch.awaited.done()
