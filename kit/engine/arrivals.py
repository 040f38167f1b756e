"""Runs on their way to the disk: what is known of them meanwhile, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from kit.engine.clock import Clock
from kit.engine.driving import Driving
from kit.engine.live import ActiveRun, anew, arriving
from kit.engine.loop import Loop
from kit.engine.uptake import FindWorkflow
from kit.model.errors import StoreError, WorkflowNotFoundError
from kit.model.event import Event
from kit.model.run import Run, RunStatus
from kit.model.workflow import AnyWorkflow
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.statements import Ask


class Arrivals:
    """
    Runs that are being stored; each is executed, or asked for, once it is on disk.

    That happens even if whoever brought it does not wait until then. *check_open* raises what is
    to be raised when nothing is accepted any more.
    """

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        driving: Driving,
        find: FindWorkflow,
        clock: Clock,
        check_open: Callable[[], None],
        *,
        fast: bool,
    ) -> None:
        self._store = store
        self._loop = loop
        self._driving = driving
        self._find = find
        self._clock = clock
        self._check_open = check_open
        self._fast = fast
        self._arriving = loop.arriving

    @property
    def are_expected(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._arriving)

    async def of(self, run_id: str) -> None:
        """Wait until nothing of this id is on its way."""
        while run_id in self._arriving:
            await asyncio.wait([self._arriving[run_id]])

    async def submit(self, event: Event, key: str | None, sender: ActiveRun | None) -> Run | None:
        """
        Store the run that *event* starts, which *sender* has sent if it is not None, and return it.

        Returns None if the event's id is known: then nothing is stored.
        """
        workflow = self._known(event.name, f"no workflow is called {event.name!r}")
        data = event.encoded()
        await self.of(event.id)
        self._check_open()
        is_driver = self._driving.is_driver or await self._driving.drives()
        self._loop.see_clock()
        now, fast = self._clock.now(), sender.fast if sender else self._fast
        due = now if fast else max(event.due or 0, now)
        begins = is_driver and due <= now and self._loop.reserve()
        live = arriving(
            event, data, workflow, now=now, due=due, begins=begins, key=key, sender=sender
        )
        live.fast = fast
        ask = None if is_driver else replace(self._driving.ask(), fast=fast)
        insert = partial(self._store.insert, live.run, root=live.root, ask=ask)
        return live.run if await self._arrive(live, ask, insert) else None

    async def again(self, run: Run, *, from_start: bool) -> Run | None:
        """Store that an ended run starts again, and return it as it is then; None if it had not."""
        gone = f"no workflow is called {run.workflow!r} any more"
        workflow = self._known(run.workflow, gone)
        self._check_open()
        if not from_start:
            self._store.reader.check_whole(run)
        is_driver = await self._driving.drives()
        root = self._store.reader.root(run.id)
        live = ActiveRun(anew(run, self._clock.now()), workflow, root=root, fast=self._fast)
        ask = None if is_driver else self._driving.ask()
        due = live.run.due
        queue = partial(self._store.queue_again, run.id, due, ask, from_start=from_start)
        return live.run if await self._arrive(live, ask, queue) else None

    def _known(self, name: str, message: str) -> AnyWorkflow:
        workflow = self._find(name)
        if workflow is None:
            raise WorkflowNotFoundError(message)
        return workflow

    async def _arrive(
        self, live: ActiveRun, ask: Ask | None, store: Callable[..., asyncio.Future[int]]
    ) -> int:
        """
        Execute a run once *store* has stored it, or wish to see it end if somebody is asked to.

        Returns 0 if storing it has changed nothing.
        """
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        stored = store(then=partial(self._follow, live, ask, answer))
        self._arriving[live.run.id] = stored
        return await answer

    def _follow(
        self,
        live: ActiveRun,
        ask: Ask | None,
        answer: asyncio.Future[int],
        changed: int,
        error: StoreError | None,
    ) -> None:
        self._arriving.pop(live.run.id).exception()  # which *answer* tells
        if not answer.done():  # else whoever brought it has gone
            if error is None:
                answer.set_result(changed)
            else:
                answer.set_exception(error)
        if error is None and changed:
            if ask is None:
                self._loop.admit(live)
            else:
                self._driving.asked(live.run.id, ask)
        elif live.run.status is RunStatus.RUNNING:
            self._loop.release()
