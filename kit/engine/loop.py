"""
The loop: what is due begins, what has run is stored, and nothing polls.

Due times sit in a heap with one timer; a new run, a finished invocation or a due time wakes the
loop, which begins as many runs as it has room for. What an invocation came to is stored in one
transaction before anything is done about it, so a process may end at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from kit.engine.agenda import Agenda
from kit.engine.clock import ClockSettings, Timer
from kit.engine.invocations import Invocations, LoopOptions
from kit.engine.invoking import SendOn
from kit.engine.live import ActiveRun
from kit.engine.moving import move
from kit.engine.waiting import Waiting
from kit.execution.tasks import apart
from kit.model.run import RunStatus
from kit.model.workflow import AnyWorkflow
from kit.store.sqlite.runs import RunStore


class Loop:
    """
    The unfinished runs of one store, `live` by their ids, and what becomes of them; `arriving` are
    those that are being stored, `set_aside` what nobody can go on with, and why. More may be on the
    file: `take_up_more` takes up some of them, if they are due.

    *waiting* is told of what has ended, and of a store that failed: nothing begins after that.
    """

    def __init__(
        self, store: RunStore, waiting: Waiting, send: SendOn, options: LoopOptions
    ) -> None:
        self.live: dict[str, ActiveRun] = {}
        self.arriving: dict[str, asyncio.Future[int]] = {}
        self.all_own = True
        self.is_quiet_elsewhere: Callable[[], bool] = lambda: True
        self.take_up_more: Callable[[], bool] = lambda: False
        self.more_due: Callable[[], int | None] = lambda: None
        self._store = store
        self._waiting = waiting
        self._options = options
        self._clock = options.clock
        self._clock_settings = ClockSettings(options.clock)
        self._moving: asyncio.Future[int] | None = None
        self._agenda = Agenda()
        self._running: dict[asyncio.Task[None], ActiveRun] = {}
        self._fallen: dict[str, ActiveRun] = {}
        self._invocations = Invocations(
            store, waiting, self.live, self.queue, self.see_clock, send, options
        )
        self.set_aside = self._invocations.set_aside
        store.expect_company_unless(lambda: len(self._running) == 1 and not self._reserved)
        self._reserved = 0
        self._lent = 0
        self._timer: Timer | None = None
        self._timer_due: int | None = None

    @property
    def closing(self) -> bool:
        """Whether nothing begins any more."""
        return self._invocations.closing

    def refuse_by(self, refuse: Callable[[str], None]) -> None:
        """Have *refuse* told of a run of other processes that is set aside."""
        self._invocations.refuse = refuse

    def listen_by(self, listen: Callable[[], None], look: Callable[[], None]) -> None:
        """
        Have *listen* called where a run goes on that other processes may have stopped, and *look*
        before one wakes, where no COMMIT has told.
        """
        self._invocations.listen, self._invocations.look = listen, look

    def has(self, run_id: str) -> bool:
        """Tell whether a run is live, or about to be."""
        return run_id in self.live or run_id in self.arriving

    def reserve(self) -> bool:
        """Keep room for a run that is about to be stored; False if it has to queue."""
        if self._agenda.has_ready or not self._has_room:
            return False
        self._reserved += 1
        return True

    def release(self) -> None:
        """Give up what `reserve` kept."""
        self._reserved -= 1
        self.pump()

    def admit(self, live: ActiveRun) -> None:
        """Take on a run that is stored. One that runs by then has room reserved for it."""
        if self.closing:
            return  # it is on disk, where a later engine finds it
        self.live[live.run.id] = live
        self.set_aside.pop(live.run.id, None)
        if live.run.status is RunStatus.RUNNING:
            self._reserved -= 1
            self._begin(live)
        else:
            self.queue(live)
            self.pump()

    def take_up(self, live: ActiveRun) -> None:
        """Take on a run that was stored before; `pump` then begins it if it is due."""
        self.live[live.run.id] = live
        self.all_own = self.all_own and live.own
        self.queue(live)

    def reload(self, find: Callable[[str], AnyWorkflow | None]) -> None:
        """Go on with the workflows that *find* gives: an invocation ends at its next step."""
        for live in self.live.values():
            found = find(live.run.workflow)
            if found is not None and found is not live.workflow:
                live.workflow = found
                live.pausing = live.busy
                if not live.busy:
                    self.queue(live)  # its time may be up sooner

    def queue(self, live: ActiveRun) -> None:
        """Put a run on the agenda."""
        now = self._clock.now()
        self._agenda.add(live.run.id, due=live.due, priority=live.run.priority, now=now)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of its own is going on and nothing is known to be due."""
        if not (self._running or self._reserved or self._agenda.has_ready or self._moving):
            return True
        if self._reserved or self._foreign == 0:
            return False
        now = self._clock.now()
        return not any(each.own and (each.busy or each.due <= now) for each in self.live.values())

    @property
    def is_all_quiet(self) -> bool:
        """Whether that holds for what other processes execute for this one, too."""
        return self.is_quiet and self.is_quiet_elsewhere()

    @property
    def _foreign(self) -> int:
        return 0 if self.all_own else sum(not each.own for each in self.live.values())

    @property
    def _has_room(self) -> bool:
        taken = len(self._running) + self._reserved - self._lent
        return taken < self._options.concurrency

    @contextlib.contextmanager
    def lends(self, run_id: str | None) -> Iterator[None]:
        """Let others have the place of a run that, meanwhile, waits for another one's end."""
        live = self.live.get(run_id or "")
        if live is None or not live.busy:
            yield
            return
        self._lent += 1
        self.pump()
        try:
            yield
        finally:
            self._lent -= 1

    def pump(self) -> None:
        """Begin what is due, and set the timer for what is due next."""
        if self.closing or self._waiting.failure:
            return
        self.see_clock()
        if self._moving is None:  # else those who wake would read when they were due before
            self._begin_due()
        self._set_timer()
        if self.is_all_quiet:
            self._waiting.quiet()

    def _begin_due(self) -> None:
        now = self._clock.now()
        self._agenda.ripen(now)
        while self._has_room:
            run_id = self._agenda.take()
            if run_id is None:
                if not self.take_up_more():
                    break
                now = self._clock.now()
                continue
            live = self.live.get(run_id)
            if live is not None and not live.busy and live.due <= now:
                self._store.begin(run_id, now)
                if live.run.started is None:
                    live.clock_set = 0
                live.run = live.run._replace(
                    status=RunStatus.RUNNING, started=live.run.started or now
                )
                self._begin(live)

    def see_clock(self) -> None:
        """
        Let what waits for a length of time wait as long as it was to, if the clock was set.

        To be called before anything that is due comes in, so that it is not moved as well.
        """
        jump = self._clock_settings.jumped()
        if not jump:
            return
        was = self._clock.now() - jump
        for live in self.live.values():
            live.clock_set += jump
        waiting = [live for live in self.live.values() if not live.busy]
        self._moving = move(waiting, jump, was, self._store)
        self._moving.add_done_callback(self._moved)
        for live in waiting:
            self.queue(live)

    def _moved(self, moving: asyncio.Future[int]) -> None:
        self._moving = None
        error = None if moving.cancelled() else moving.exception()
        if error is not None:
            self._waiting.fail(error)
        self.pump()

    def _set_timer(self) -> None:
        dues = [due for due in (self._agenda.next_due, self.more_due()) if due is not None]
        due = min(dues, default=None)
        if due == self._timer_due:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._clock.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = self._timer_due = None
        self.pump()

    def _begin(self, live: ActiveRun) -> asyncio.Task[None]:
        live.busy = True
        running = asyncio.create_task(self._invocations.carry_out(live), context=apart())
        self._running[running] = live
        running.add_done_callback(self._finished)
        return running

    def _finished(self, running: asyncio.Task[None]) -> None:
        live = self._running.pop(running)
        if running.cancelled():
            return  # so is all else: the engine or the event loop is closing
        error = running.exception()
        if error is not None:
            self._fallen[live.run.id] = live
            self._waiting.fail(error)
        self.pump()

    def recover(self) -> dict[str, ActiveRun]:
        """Forget the runs that could not be stored, whose truth is on disk, and return them."""
        fallen, self._fallen = self._fallen, {}
        for run_id in fallen:
            self.live.pop(run_id, None)
        return fallen

    async def stop(self, live: ActiveRun) -> None:
        """End a run: at once if it waits, at its next step or sleep if it is running."""
        live.stopped = True
        if not live.busy:
            await asyncio.shield(self._begin(live))  # whoever asked may give up waiting

    async def close(self) -> None:
        """Break off what is running; return once it has unwound and all outcomes are stored."""
        self._invocations.closing = True
        if self._timer:
            self._timer.cancel()
        await self._invocations.break_off()
        if self._running:
            await asyncio.wait(list(self._running))
        if self._invocations.unwinding:
            await asyncio.wait(self._invocations.unwinding)
