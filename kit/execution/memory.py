"""
What a run has recorded, in order; and what may be asked for.

Rules of this room, which knows nothing of tasks:

* All that was recorded stands in one *queue*, in the order in which it was recorded: values,
  failures, finished sleeps, cut-offs. An entry answers when it is asked for and stands first; then
  it leaves. What is new begins when the queue is empty. So everything comes out as it did.
* A number that is missing is one that was forgotten: a failure that is to be tried again. What was
  recorded after it is *optional*: it keeps its place, but may never be asked for.
* Steps within a step stand in no queue: if the outer one has ended they are never asked for, and
  if it has not, they answer at once. So do checkpoints that have no number. Nobody but the outer
  one may ask for them: their ids are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kit.execution.envelope import as_cut, is_inner, outer_of, uncut
from kit.execution.forgetting import number_of, to_forget
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import ReplayError
from kit.model.step_id import check_step_id, repeated

CHANGED = (
    "the workflow was changed while this run was under way. Keep the ids and the order of"
    " finished steps, or retry the run from its start"
)
_QUEUED = (CheckpointKind.STEP, CheckpointKind.SLEEP, CheckpointKind.SEND, CheckpointKind.CUT_OFF)
_ASKED_FOR = (CheckpointKind.STEP, CheckpointKind.SLEEP)
_STEP = CheckpointKind.STEP
_SOFT = (CheckpointKind.SEND, CheckpointKind.CUT_OFF)
"""What has no value that would be lost: it keeps its place as long as others can wait for it."""


class Memory:
    """The checkpoints of one invocation: those delivered, and those that are fresh."""

    def __init__(self, checkpoints: Iterable[Checkpoint] = ()) -> None:
        self.fresh: list[Checkpoint] = []
        self.dropped: list[str] = []  # stored, and not to answer any more
        self._anew: set[str] = set()  # of the fresh ones, what is stored in another form
        self._known: dict[str, Checkpoint] = {}
        self._asked: set[str] = set()
        self._left: set[str] = set()
        self._optional_after: float = float("inf")
        self._loose: dict[str, Checkpoint] = {}  # without a number: asked for in any order
        self._queue: list[Checkpoint] = []
        self._head = 0
        self._next = self._take_up(list(checkpoints))

    def _take_up(self, checkpoints: list[Checkpoint]) -> int:
        """Line up what was delivered, and return the next number."""
        if not checkpoints:
            return 0
        self._known = {each.step_id: each for each in checkpoints}
        numbered = sorted((c for c in checkpoints if c.sequence is not None), key=number_of)
        self._queue = [c for c in numbered if c.kind in _QUEUED and not is_inner(c.text)]
        self._loose = {
            c.step_id: c
            for c in checkpoints
            if c.sequence is None and c.kind in _ASKED_FOR and not is_inner(c.text)
        }
        expected, unnumbered = 0, len(checkpoints) - len(numbered)
        if numbered and number_of(numbered[-1]) >= len(numbered):  # something is missing
            for each in numbered:
                number = number_of(each)
                if number > expected + unnumbered:
                    self._optional_after = min(self._optional_after, number - 1)
                expected = max(expected, number + 1)
        return max(expected, len(checkpoints))

    def ask(
        self, step_id: str, kind: CheckpointKind, outer: str | None = None
    ) -> Checkpoint | None:
        """
        Return what is recorded under *step_id*, or None if nothing is; *outer* is who asks.

        Raises:
            StepUsageError: If the id cannot name a step, or was asked for before.
            ReplayError: If the run has recorded something else under the id.
        """
        check_step_id(step_id)
        known = self._known.get(step_id)
        if step_id in self._asked or (known is not None and self._is_used_within(known, outer)):
            raise repeated(step_id)
        self._asked.add(step_id)
        if known is None:
            return None
        if known.kind is not kind and known.kind is not CheckpointKind.CUT_OFF:
            msg = (
                f"the handler asks for the {kind} {step_id!r}, but the run recorded a {known.kind}"
                " of that id; give a new step a new id"
            )
            raise ReplayError(msg)
        self._loose.pop(step_id, None)
        return known

    def _is_used_within(self, known: Checkpoint, asks: str | None) -> bool:
        """Tell whether *known* is of another step than who *asks*, which answers from memory."""
        outer = outer_of(known.text)
        return outer is not None and outer != asks and self._is_used(outer)

    def _is_used(self, step_id: str) -> bool:
        """Tell whether a step was asked for, or has to be."""
        known = self._known.get(step_id)
        if step_id in self._asked or known is None:
            return step_id in self._asked
        outer = outer_of(known.text)
        if outer is not None:
            return self._is_used(outer)
        return self.waits_its_turn(known) and not self._is_optional(known)

    def ask_first(self, step_id: str) -> Checkpoint | None:
        """Return what is recorded of a step and let it leave, if it stands first: as is usual."""
        if self._head == len(self._queue):
            return None
        first = self._queue[self._head]
        if first.step_id != step_id or step_id in self._asked or first.kind is not _STEP:
            return None
        self._head += 1
        self._asked.add(step_id)
        self._left.add(step_id)
        return first

    def find(self, step_id: str) -> Checkpoint | None:
        """Return what is recorded under an id, without asking for it."""
        return self._known.get(step_id)

    def ask_for_send(self, step_id: str) -> Checkpoint | None:
        """Return the checkpoint of an event that was sent; it may be asked for again."""
        self._asked.add(step_id)
        return self._known.get(step_id)

    def lets_go(self, step_id: str) -> Checkpoint | None:
        """Return what is recorded under *step_id* if it need not have its turn."""
        known = self._known.get(step_id)
        return known if known is not None and known.kind in _SOFT else None

    def waits_its_turn(self, known: Checkpoint) -> bool:
        """Tell whether *known* stands in the queue, and has not left it."""
        return (
            known.sequence is not None
            and known.step_id not in self._left
            and not is_inner(known.text)
        )

    @property
    def first(self) -> Checkpoint | None:
        """What stands first in the queue; None if all has left it."""
        while self._head < len(self._queue):
            if self._queue[self._head].step_id not in self._left:
                return self._queue[self._head]
            self._head += 1
        return None

    @property
    def queued(self) -> Iterator[Checkpoint]:
        """What stands in the queue, in order."""
        return (each for each in self._queue[self._head :] if each.step_id not in self._left)

    @property
    def is_used_up(self) -> bool:
        """Whether all that is recorded was asked for, so that something new may begin."""
        if self._loose:
            return False
        return self._head == len(self._queue) or self.first is None

    @property
    def unasked(self) -> str:
        """The ids nobody has asked for, to be read."""
        queue = (each.step_id for each in self._queue[self._head :])
        ids = [*queue, *self._loose]
        return ", ".join(repr(each) for each in ids if each not in self._left | self._asked)

    @property
    def missed(self) -> str:
        """The ids that the handler should have asked for and has not, to be read."""
        queue = (each.step_id for each in self._queue[self._head :] if not self._is_optional(each))
        loose = () if self._optional_after < float("inf") else self._loose
        return ", ".join(
            repr(each) for each in (*queue, *loose) if each not in self._left | self._asked
        )

    def leave(self, known: Checkpoint) -> None:
        """Take *known* off the queue: it has answered, or whoever asked for it was cancelled."""
        self._left.add(known.step_id)

    def cut(self, known: Checkpoint, *, leaves: bool = True) -> None:
        """Note that who waited for *known* was cancelled, and asks for no more; it may *leave*."""
        if known.sequence is not None:
            self._optional_after = min(self._optional_after, known.sequence)
        if leaves:
            self.leave(known)

    def take_up_again(self, known: Checkpoint) -> None:
        """Let a cut-off answer with its value, or forget it if it has none: that is run again."""
        if self.revive(known):
            return
        del self._known[known.step_id]
        if known in self.fresh:
            self.fresh.remove(known)
        else:
            self.dropped.append(known.step_id)

    def pass_over(self) -> bool:
        """Take off what stands first, if nobody need ask for it and nobody has."""
        first = self.first
        if first is not None and self._is_optional(first) and first.step_id not in self._asked:
            self.leave(first)
            return True
        if first is None and self._loose and self._optional_after < float("inf"):
            self._loose.clear()
            return True
        return False

    def _is_optional(self, known: Checkpoint) -> bool:
        if known.kind in _SOFT:
            return True
        return known.sequence is not None and known.sequence > self._optional_after

    def record(
        self,
        step_id: str,
        kind: CheckpointKind,
        text: str | None,
        started: int,
        ended: int,
    ) -> Checkpoint:
        """Record something new, which is fresh until it is taken to be stored."""
        fresh = Checkpoint(step_id, kind, text, started, ended, self._next)
        self._next += 1
        self._known[step_id] = fresh
        self.fresh.append(fresh)
        if step_id in self.dropped:  # it was run again, and that replaces what is stored
            self.dropped.remove(step_id)
            self._anew.add(step_id)
        return fresh

    def cut_off(self, step_id: str, at: int) -> None:
        """Note that who asked for what was just recorded was cancelled, and did not get it."""
        known = self._known[step_id]
        text = None if known.text is None else as_cut(known.text)
        self._put(known._replace(kind=CheckpointKind.CUT_OFF, text=text, ended=at))

    def revive(self, known: Checkpoint) -> Checkpoint | None:
        """Let a cut-off answer with the value that its step had; None if it had none."""
        text = uncut(known.text)
        if text is None:
            return None
        alive = known._replace(kind=_STEP, text=text)
        self._put(alive)
        return alive

    def _put(self, checkpoint: Checkpoint) -> None:
        """Record *checkpoint* in the place of the one that has its id."""
        self._known[checkpoint.step_id] = checkpoint
        if all(each.step_id != checkpoint.step_id for each in self.fresh):
            self._anew.add(checkpoint.step_id)
        others = (each for each in self.fresh if each.step_id != checkpoint.step_id)
        self.fresh = [*others, checkpoint]

    @property
    def has_outcomes(self) -> bool:
        """Whether anything is fresh but events sent, which may be sent again."""
        return any(each.kind is not CheckpointKind.SEND for each in self.fresh)

    def take(self) -> tuple[Checkpoint, ...]:
        """Take all that is fresh, to be stored."""
        fresh, self.fresh = tuple(self.fresh), []
        return fresh

    def put_back(self, taken: Iterable[Checkpoint]) -> None:
        """Let what was *taken* be stored again: it may be stored, or may not."""
        again = [each for each in taken if self._known.get(each.step_id) is each]
        self._anew.update(each.step_id for each in again)
        self.fresh = again + self.fresh

    def forget(self, blamed: Iterable[str]) -> tuple[str, ...]:
        """
        Forget the steps in *blamed*, and the cut-offs that go with them; see `to_forget`.

        A cut-off step that has a value answers with that from now on: it is not repeated.
        Return the ids of those that have been stored.
        """
        gone = [each.step_id for each in to_forget(self._known, blamed) if not self.revive(each)]
        fresh = {each.step_id for each in self.fresh} - self._anew
        self.fresh = [each for each in self.fresh if each.step_id not in gone]
        for each in gone:
            del self._known[each]
        return (*self.dropped, *(each for each in gone if each not in fresh))
