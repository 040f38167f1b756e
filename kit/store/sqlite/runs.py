"""`RunStore`: what an engine writes about its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from kit.model.delivery import Checkpoint
from kit.model.errors import StoreError
from kit.model.run import Attempt, Run
from kit.store.sqlite import statements
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.schema import VERSION
from kit.store.sqlite.statements import Ask
from kit.store.sqlite.writer import Then, Writer

Durability = Literal["full", "normal"]
"""`full` survives a power failure; `normal` a killed process, and is several times faster."""


class RunStore:
    """
    The run file at *path*, open for one engine.

    `stops` counts the stops that this process has asked for, on whatever file.

    Raises:
        StoreError: If the file cannot be opened.
    """

    stops: ClassVar[int] = 0

    def __init__(
        self,
        path: Path,
        *,
        durability: Durability,
        on_foreign: Callable[[], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self._writer = Writer(
            path,
            synchronous=durability.upper(),
            loop=asyncio.get_running_loop(),
            on_foreign=on_foreign,
            check=check,
        )
        self.reader = Reader(path)

    @property
    def answered(self) -> float:
        """When, by `time.monotonic`, a write was last answered; see `Writer`."""
        return self._writer.answered

    def expect_company_unless(self, is_alone: Callable[[], bool]) -> None:
        """Let what is written wait for the loop's next turn, and company, unless *is_alone*."""
        self._writer.is_alone = is_alone

    def probe(self) -> asyncio.Future[int]:
        """Write something that changes nothing; the future fails as any other write would."""
        return self._writer.write((f"PRAGMA user_version = {VERSION}", ()))

    def watch(self, seconds: float | None) -> None:
        """Look this often whether another process has written to the file; None: not at all."""
        self._writer.watch(seconds)

    def insert(
        self,
        run: Run,
        *,
        root: str | None = None,
        ask: Ask | None = None,
        then: Then | None = None,
    ) -> asyncio.Future[int]:
        """
        Store a new run, and with it whom to *ask* to execute it.

        *root* is the run it belongs to; None for itself. The future gives 0, as *then* is told, if
        a run with its id exists, of which nothing is changed then.
        """
        return self._writer.write(*statements.inserted(run, root, ask), then=then)

    def begin(self, run_id: str, now: int) -> None:
        """Note that an invocation of the run has begun."""
        self._writer.write_along(statements.begun(run_id, now))

    def write_along(self, run_id: str, checkpoints: Sequence[Checkpoint]) -> None:
        """Store *checkpoints* with whatever is stored next, and before that."""
        for statement in statements.recorded(run_id, checkpoints):
            self._writer.write_along(statement)

    def commit(self, run_id: str, checkpoints: Sequence[Checkpoint]) -> asyncio.Future[int]:
        """Store *checkpoints*."""
        return self._writer.write(*statements.recorded(run_id, checkpoints))

    def wait(
        self,
        run: Run,
        checkpoints: Sequence[Checkpoint],
        forgotten: Sequence[str] = (),
        attempt: Attempt | None = None,
        *,
        asleep: Sequence[Checkpoint] | None = None,
    ) -> asyncio.Future[int]:
        """
        Store that the run goes on later, as *run* says, and the failed attempt before it.

        *asleep* are all the sleeps it is in; None leaves those that are stored as they are.
        """
        together = statements.waiting(run, checkpoints, forgotten, attempt, asleep)
        return self._writer.write(*together)

    def move(self, runs: Sequence[tuple[Run, Sequence[Checkpoint]]]) -> asyncio.Future[int]:
        """Store when waiting runs and their sleeps are due, now that the clock was set."""
        moved = [each for run, asleep in runs for each in statements.moved(run, asleep)]
        return self._writer.write(*moved)

    def end(
        self,
        run: Run,
        checkpoints: Sequence[Checkpoint],
        forgotten: Sequence[str] = (),
        attempt: Attempt | None = None,
    ) -> asyncio.Future[int]:
        """
        Store that the run has ended, as *run* says.

        The future gives 0 if it has not, because a stop was requested before: then it is to be
        stored as cancelled, and that always succeeds.
        """
        return self._writer.write(*statements.ended(run, checkpoints, forgotten, attempt))

    def cancel(self, run_id: str, now: int) -> asyncio.Future[int]:
        """Store that a run nobody executes is cancelled; the future gives 0 if it had ended."""
        return self._writer.write(*statements.cancelled(run_id, now))

    def request_stop(self, run_id: str, now: int) -> asyncio.Future[int]:
        """Ask whoever executes the run to stop it; 0 if it has ended, or was asked to before."""
        requested = self._writer.write(statements.stop_requested(run_id, now))
        requested.add_done_callback(_count_stop)  # before whoever awaits it goes on
        return requested

    def answer(self, run_id: str, what: str) -> None:
        """Take back a request whose effect is seen, or that is void."""
        self._writer.write_along(statements.answered(run_id, what))

    def register(self, lane: int, token: str, now: int, everything: bool) -> asyncio.Future[int]:
        """Store who drives in a *lane*; what was asked of the driver before is void then."""
        return self._writer.write(*statements.registered(lane, token, now, everything=everything))

    def request_drive(
        self, run_ids: Collection[str] | None, ask: Ask, now: int
    ) -> asyncio.Future[int]:
        """Ask for the unfinished among these runs to be executed; None: all there are."""
        return self._writer.write(statements.drive_requested(run_ids, ask, now))

    def refuse(self, run_id: str, token: str, now: int) -> None:
        """Store that the driver with this token does not know the run's workflow."""
        for statement in statements.refused(run_id, token, now):
            self._writer.write_along(statement)

    def claim(
        self, run_id: str, token: str, *, before: str | None, refused_by: str
    ) -> asyncio.Future[int]:
        """
        Store that the engine with this *token* executes a run on the side.

        The future gives 0, and nothing is changed, unless it still belongs to *before*, and the
        driver is still the one that has refused it.
        """
        return self._writer.write(statements.claimed(run_id, token, before, refused_by))

    def queue_again(
        self,
        run_id: str,
        now: int,
        ask: Ask | None = None,
        *,
        from_start: bool,
        then: Then | None = None,
    ) -> asyncio.Future[int]:
        """
        Store that an ended run is to start again; with *from_start*, with nothing recorded.

        The future gives 0, as *then* is told, and nothing is changed, if there is no such run or
        it has not ended.
        """
        together = statements.again(run_id, now, ask, from_start=from_start)
        return self._writer.write(*together, then=then)

    def on_lost(self, tell: Callable[[StoreError], None]) -> None:
        """Have *tell* called whenever what was written is lost with the file."""
        self._writer.on_lost = tell

    async def end_writing(self, error: StoreError | None) -> None:
        """Write nothing any more, because of *error*. What can be read of the file still can."""
        self._writer.lost = error
        await self._writer.close()

    async def close(self) -> None:
        """Write what is left, and close the file."""
        self.reader.close()  # the last one that closes has to be able to write
        await self._writer.close()


def _count_stop(_requested: asyncio.Future[int]) -> None:
    RunStore.stops += 1
