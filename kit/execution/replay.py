"""
What a replay may ask for: whether the code still fits what the run has recorded.

Before a fresh step begins, every checkpoint of the run must have been asked for, else the code no
longer fits the run: that is reported, and the step is not run. Steps within a step are free: an
attempt that runs the outer one again may ask for others.
"""

from __future__ import annotations

from typing import NoReturn

from kit.execution.envelope import is_inner
from kit.execution.parking import Parking
from kit.model.delivery import Checkpoint, CheckpointKind, Delivery
from kit.model.errors import ReplayError, StepUsageError
from kit.model.step_id import check_step_id, repeated

CHANGED = (
    "the workflow was changed while this run was under way. Keep the ids and the order of"
    " finished steps, or retry the run from its start"
)
_ASKED_FOR = (CheckpointKind.STEP, CheckpointKind.SLEEP)


class Replay(Parking):
    """The checkpoints of a delivery, and which of them the handler has asked for."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self.delivery = delivery
        self.unasked = {
            step_id
            for step_id, checkpoint in delivery.checkpoints.items()
            if checkpoint.kind in _ASKED_FOR and not is_inner(checkpoint.text)
        }
        self._asked: set[str] = set()

    @property
    def gone(self) -> str:
        """The ids nobody has asked for, to be read; nothing if there are none."""
        return ", ".join(repr(each) for each in self.delivery.checkpoints if each in self.unasked)

    def ask(self, step_id: str, kind: CheckpointKind) -> Checkpoint | None:
        """
        Return the checkpoint of a step, or None if it has none yet.

        Raises:
            StepUsageError: If the id cannot name a step, or was asked for before.
            ReplayError: If the run has recorded something else under the id.
        """
        try:
            check_step_id(step_id)
        except StepUsageError as error:
            self.refuse(error)
        if step_id in self._asked:
            self.refuse(repeated(step_id))
        self._asked.add(step_id)
        known = self.delivery.checkpoints.get(step_id)
        if known is None:
            return None
        self.unasked.discard(step_id)
        if known.kind is not kind:
            msg = (
                f"the handler asks for the {kind} {step_id!r}, but the run recorded a {known.kind}"
                " of that id; give a new step a new id"
            )
            self.refuse(ReplayError(msg, run_id=self.delivery.event.id))
        return known

    async def find_unasked(self, step_id: str) -> None:
        """
        Wait for branches that have not asked for their checkpoints yet.

        Raises:
            ReplayError: If there are checkpoints nobody asks for.
        """
        await self.lets_others_go_on(lambda: not self.unasked)
        if not self.is_alone():
            await self.is_patient(lambda: not self.unasked)
        if self.ended or self.closed:
            await self.park()
        if self.unasked:
            msg = (
                f"the handler asks for {step_id!r} as a new step, but never for {self.gone}, which"
                f" the run has recorded: {CHANGED}"
            )
            self.refuse(ReplayError(msg, run_id=self.delivery.event.id))

    def refuse(self, error: Exception) -> NoReturn:
        """Raise *error*, and make it the outcome whatever the handler does with it."""
        self.broken = self.broken or error
        self.stir()
        raise error
