"""A run that has not ended, as the engine holds it in memory; and what stores its checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.duration import to_milliseconds
from kit.errors import StoreError
from kit.event import Event
from kit.payload import load
from kit.run import After, Checkpoint, Outcome, Run
from kit.store import Reader, RunStore
from kit.workflow import Workflow


@dataclass(slots=True, eq=False)
class Live:
    """
    An unfinished run. `event` and `checkpoints` are at hand only while it runs, or about to.

    `stopped` says that somebody wants it to end; `busy`, that an invocation is about to begin or
    its outcome is being stored; `invocation` is the running one.
    """

    run: Run
    workflow: Workflow[..., Any]
    event: Event | None = None
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    stopped: bool = False
    busy: bool = False
    invocation: asyncio.Task[Outcome] | None = None

    @property
    def deadline(self) -> int | None:
        """When the run's time is up; None if it has not begun, or may take for ever."""
        if self.workflow.timeout is None or self.run.started is None:
            return None
        return self.run.started + to_milliseconds(self.workflow.timeout)

    @property
    def due(self) -> int:
        """When there is something to do: the run goes on, or its time is up."""
        return self.run.due if self.deadline is None else min(self.run.due, self.deadline)

    def wake(self, reader: Reader) -> None:
        """Get at hand what an invocation needs."""
        run = self.run
        self.event = Event(
            run.workflow, load(run.data), run.id, priority=run.priority, chain=run.chain
        )
        self.checkpoints = reader.checkpoints(run.id)

    def rest(self) -> None:
        """Let go of what only an invocation needs: a run may sleep for a month."""
        self.event = None
        self.checkpoints = {}
        self.busy = False


class Keeper:
    """The checkpointer of the local engine: commit and go on; or suspend, to rehearse Netlify."""

    __slots__ = ("_live", "_store", "after_step", "failure")

    def __init__(self, live: Live, store: RunStore, after_step: After) -> None:
        self._live = live
        self._store = store
        self.after_step = after_step
        self.failure: StoreError | None = None

    @property
    def stopped(self) -> bool:
        """Whether the run is to end at its next step or sleep."""
        return self._live.stopped

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """
        Store *checkpoints*, and return once they are on disk.

        A store that fails is nobody's failed step: the invocation is broken off, the run stays as
        it is on disk, and this never returns.
        """
        live = self._live
        first = len(live.checkpoints)
        for checkpoint in checkpoints:
            live.checkpoints[checkpoint.step_id] = checkpoint
        try:
            await self._store.commit(live.run.id, first, checkpoints)
        except StoreError as error:
            self.failure = error
            if live.invocation is not None:
                live.invocation.cancel()
            await asyncio.get_running_loop().create_future()
