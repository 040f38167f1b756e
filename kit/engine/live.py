"""A run that has not ended, as the engine holds it in memory; and what stores its checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.execution import rehearsing
from kit.execution.record import Record
from kit.model.delivery import AfterStep, Checkpoint
from kit.model.duration import to_milliseconds
from kit.model.errors import StoreError
from kit.model.event import Event
from kit.model.run import Run, RunStatus
from kit.model.signals import Suspend
from kit.model.text import decode
from kit.model.workflow import Workflow
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.rows import DAMAGED, damage
from kit.store.sqlite.runs import RunStore


@dataclass(slots=True, eq=False)
class ActiveRun:
    """
    An unfinished run. `event` and `record` are at hand only while it runs, or about to.

    `stopped` says that somebody wants it to end; `busy`, that an invocation is about to begin, is
    under way, or its outcome is being stored; `pausing`, that the invocation is to end. `root` is
    the run it belongs to, if that is another. With `fast` its waits are skipped. It is not `own` if
    it is executed because another process asks for it; `is_found` in the file, until it is woken.
    `is_delayed` says that it waits for its start for a length of time; `clock_set` is by how many
    milliseconds the clock was set forward since it began.
    """

    run: Run
    workflow: Workflow[..., Any]
    event: Event | None = None
    record: Record = field(default_factory=Record)
    stopped: bool = False
    busy: bool = False
    pausing: bool = False
    root: str | None = None
    fast: bool = False
    own: bool = True
    is_found: bool = False
    is_delayed: bool = False
    clock_set: int = 0

    @property
    def deadline(self) -> int | None:
        """When the run's time is up; None if it has not begun, or may take for ever."""
        if self.workflow.timeout is None or self.run.started is None:
            return None
        return self.run.started + to_milliseconds(self.workflow.timeout) + self.clock_set

    @property
    def due(self) -> int:
        """When there is something to do: the run goes on, or its time is up."""
        return self.run.due if self.deadline is None else min(self.run.due, self.deadline)

    def wake(self, reader: Reader) -> None:
        """
        Get at hand what an invocation needs; what another process has left is checked first.

        Raises:
            StoreError: With code `RUN_DAMAGED`, if it makes no sense.
        """
        run = self.run
        try:
            self.event = Event(
                run.workflow, decode(run.data), run.id, priority=run.priority, chain=run.chain
            )
        except (ValueError, RecursionError) as error:
            msg = damage(run.id, error).message
            raise StoreError(msg, path=str(reader.path), code=DAMAGED) from error
        checkpoints = reader.checkpoints(run.id, check=self.is_found)
        self.record = Record.of(checkpoints.values())
        self.is_found = False

    def rest(self) -> None:
        """Let go of what only an invocation needs: a run may sleep for a month."""
        self.event = None
        self.record = Record()
        self.busy = self.pausing = False


def arriving(
    event: Event,
    data: str,
    workflow: Workflow[..., Any],
    *,
    now: int,
    due: int,
    begins: bool,
    key: str | None,
    sender: ActiveRun | None,
) -> ActiveRun:
    """Return the run that *event*, whose data is the JSON text *data*, starts in *workflow*."""
    run = Run(
        event.id, workflow.event_name, RunStatus.QUEUED, data, due=due,
        priority=event.priority, created=now, chain=event.chain, key=key,
    )  # fmt: skip
    live = ActiveRun(run, workflow, is_delayed=event.is_delayed)
    if begins:
        live.run = run._replace(status=RunStatus.RUNNING, started=now)
        # read from the text: what the sender does with its data is no business of the run
        live.event = event.carrying(decode(data))
    if sender is not None:
        live.root = sender.root or sender.run.id
        live.fast, live.own = sender.fast, sender.own
    return live


def anew(run: Run, now: int) -> Run:
    """Return an ended run as it is when it starts again."""
    queued = run._replace(status=RunStatus.QUEUED, attempt=0, due=now, started=None)
    return queued._replace(ended=None, result=None, failure=None)


class StoreCheckpointer:
    """The checkpointer of the local engine: commit and go on; or suspend, to rehearse Netlify."""

    __slots__ = (
        "_after_step", "_break_off", "_committed", "_listen", "_live", "_recorded", "_store",
        "closed",
    )  # fmt: skip

    def __init__(
        self,
        live: ActiveRun,
        store: RunStore,
        after_step: AfterStep,
        break_off: Callable[[StoreError], None],
        listen: Callable[[], None],
    ) -> None:
        self._after_step = after_step
        self.closed = False
        self._recorded, self._committed = len(live.record.checkpoints), 0
        self._live = live
        self._store = store
        self._break_off = break_off
        self._listen = listen

    def close(self) -> None:
        """Store nothing any more, and hold on to nobody."""
        self.closed = True
        self._break_off, self._listen = _nobody, _nothing

    @property
    def after_step(self) -> AfterStep:
        """What happens after a fresh step; a rehearsal ends less and less often."""
        if self._after_step is AfterStep.COMMIT:
            return self._after_step
        return rehearsing.after_step(self._recorded, self._committed)

    @property
    def stopped(self) -> bool:
        """Whether the invocation is to end at its next step or sleep."""
        if not self._live.stopped:
            self._listen()
        return self._live.stopped or self._live.pausing

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Store *checkpoints*, and return once they are on disk; see `stored`."""
        if self.closed:
            raise Suspend
        live = self._live
        self._committed += len(checkpoints)
        live.record.keep(checkpoints)
        try:
            await self._store.commit(live.run.id, checkpoints)
        except StoreError as error:
            await self._never(error)

    async def stored(self, storing: Callable[..., Awaitable[object]], *given: Any) -> None:
        """
        Await what *storing*, which is given the rest, begins.

        A store that fails is nobody's failed step: the invocation is broken off, the run stays as
        it is on disk, and this never returns. Nothing is stored once the invocation has been
        decided: the run may be somebody else's by then.
        """
        if self.closed:
            raise Suspend
        try:
            await storing(*given)
        except StoreError as error:
            await self._never(error)

    async def _never(self, error: StoreError) -> None:
        self._break_off(error)
        await asyncio.get_running_loop().create_future()


def _nobody(_error: StoreError) -> None:
    """Stand for an invocation that has been decided."""


def _nothing() -> None:
    """Hear nobody, since it is decided."""
