"""
Whether a handler catches a step's failure.

A failure that ends the handler is no checkpoint: the step is run again at the next attempt. One
that the handler catches is, for a replay must take the same way past it. No event tells which it
is, so it is inferred from who asks for what comes next:

* The task of the failed step, or one that waited for something when it failed, or one that was
  not there yet, has gone on past it: the failure is *caught*. Unless the handler itself has
  meanwhile left the place where it waited for nothing new: it may be cleaning up on its way out.
* A *bystander* that was busy with a step of its own, about to begin one, or parked, shows nothing.
* When all that goes on has parked, what nobody has passed counts as caught: it would otherwise be
  run again at each waking of a sibling.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kit.execution.envelope import as_inner, error_envelope, portable
from kit.execution.parking import awaited_by
from kit.execution.replay import Replay
from kit.model.delivery import Checkpoint, CheckpointKind, Delivery

_FEW = 16
"""Failures side by side for which a look at all tasks each is not too much."""


@dataclass(slots=True, eq=False)
class Failing:
    """A step's failure of which it is not known yet whether the handler catches it."""

    checkpoint: Checkpoint
    task: asyncio.Task[object] | None
    position: object  # what the handler waited for
    tasks: set[asyncio.Task[object]]  # all there were
    bystanders: set[asyncio.Task[object]]

    def is_passed_by(self, task: asyncio.Task[object] | None) -> bool:
        """Tell whether *task*, in going on, shows that the failure did not end the handler."""
        return task is self.task or task not in self.bystanders


class Catching(Replay):
    """The failures of an invocation: those still in the air, and those the handler has caught."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self.carried: list[Checkpoint] = []  # travels with the next fresh checkpoint
        self.failures: list[Failing] = []
        self.within: dict[asyncio.Task[object], str] = {}  # the step each task runs
        self._failed_in: dict[int, tuple[BaseException, str]] = {}

    def failed(
        self, step_id: str, error: Exception, outer: str | None, started: int, ended: int
    ) -> Exception:
        """Take up the failure of a step that ran within *outer*; return what is to be raised."""
        raised = portable(error, step_id)
        text = error_envelope(raised)
        text = text if outer is None else as_inner(text)
        checkpoint = Checkpoint(step_id, CheckpointKind.STEP, text, started, ended)
        task = asyncio.current_task()
        self.failures.append(Failing(checkpoint, task, self.position(), *self._around(outer)))
        self.came_from(raised, step_id)
        return raised

    def _around(
        self, outer: str | None
    ) -> tuple[set[asyncio.Task[object]], set[asyncio.Task[object]]]:
        """Return all tasks, and the bystanders among them."""
        if len(self.failures) > _FEW:
            return self.failures[-1].tasks, self.failures[-1].bystanders
        tasks = asyncio.all_tasks()
        return tasks, {task for task in tasks if self._stands_by(task, outer)}

    def _stands_by(self, task: asyncio.Task[object], outer: str | None) -> bool:
        position = awaited_by(task)
        is_within = self.within.get(task, outer) != outer
        return is_within or position is None or self.is_parked_at(position)

    async def let_land(self) -> None:
        """Decide on the failures that the running task, in going on, has passed."""
        task = asyncio.current_task()
        failures = [each for each in self.failures if each.is_passed_by(task)]
        if task is not self.main and any(each.task is not task for each in failures):
            await self.lets_others_go_on(lambda: not self.failures)
            old = [each for each in failures if task in each.tasks]
            await self.is_patient(lambda: not self._may_end(old))
            if self.ended or self.closed:
                await self.park()
        self.catch(failures)

    def catch(self, failures: list[Failing]) -> None:
        """Let *failures* travel as checkpoints: the handler has caught them."""
        self.carried += (each.checkpoint for each in failures if each in self.failures)
        self.failures = [each for each in self.failures if each not in failures]

    async def stays_parked(self) -> bool:
        """Tell whether all that goes on is parked, and remains so."""
        if not await self.stays_settled() or (self.failures and self.release()):
            return False
        await self.is_patient(lambda: bool(self.open) or not self._may_end(self.failures))
        return not (self.open or self.ended or self.broken)

    def _may_end(self, failures: list[Failing]) -> bool:
        """Tell whether the handler may be on its way out with one of *failures*."""
        return any(self.has_moved(each.position) for each in failures if each in self.failures)

    def came_from(self, error: BaseException, step_id: str) -> None:
        """Note that *error* is what a step failed with."""
        self._failed_in[id(error)] = (error, step_id)

    def step_of(self, error: BaseException) -> str | None:
        """Return the id of the step that *error* came from, if it came from one."""
        todo: list[BaseException | None] = [error]
        seen: set[int] = set()
        while todo:
            part = todo.pop()
            if part is None or id(part) in seen:
                continue
            if id(part) in self._failed_in:
                return self._failed_in[id(part)][1]
            seen.add(id(part))
            todo.append(part.__cause__ or part.__context__)
            if isinstance(part, BaseExceptionGroup):
                todo += reversed(part.exceptions)
        return None
