"""What an engine asks of the driver: to execute runs; and what it executes on the side instead."""

from __future__ import annotations

from collections.abc import Collection

from kit.engine.clock import Clock
from kit.engine.leases import Leases
from kit.engine.loop import Loop
from kit.engine.uptake import Uptake, Wishes, unknown_workflow
from kit.engine.waiting import Waiting
from kit.store.sqlite.reader import LeftRun, Reader
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.statements import Ask

_UNCLAIMED = 2_000
"""Milliseconds after a refusal until nobody is taken to know the workflow."""


class Asking:
    """Asks whoever is the driver for what its engine wishes, once each."""

    def __init__(
        self,
        store: RunStore,
        loop: Loop,
        waiting: Waiting,
        clock: Clock,
        leases: Leases,
        uptake: Uptake,
        wishes: Wishes,
    ) -> None:
        self._store = store
        self._reader: Reader = store.reader
        self._loop = loop
        self._waiting = waiting
        self._clock = clock
        self._leases = leases
        self._uptake = uptake
        self._wishes = wishes
        self._asked: dict[str, str] = {}
        self._asked_for_all = ""

    def whom(self) -> Ask:
        """Return whom to ask for a run that is about to be stored."""
        return Ask(self._reader.driver(), self._uptake.fast)

    def has_asked(self, run_id: str, ask: Ask) -> None:
        """Note that a run is stored with *ask*."""
        self._asked[run_id] = ask.driver

    def forget(self) -> None:
        """Forget what was asked: there is nobody left to ask."""
        self._asked.clear()
        self._asked_for_all = ""

    async def ask_for(self, rows: list[LeftRun]) -> bool:
        """
        Ask for what is left to be executed; or execute on the side what the driver has refused.

        Returns whether somebody else came between, so that one should look again.
        """
        token = self._reader.driver()
        refused = self._reader.refused(token)
        if self._wishes.everything:
            rows = [*rows, *self._reader.left(refused)]
            await self._ask_for_all(token)
        living = self._leases.living() - {token}
        missed, to_ask = False, set[str]()
        for row in rows:
            run_id = row.run.id
            is_seen_to = self._loop.has(run_id) or run_id in self._loop.set_aside
            if is_seen_to or row.driver in living:
                continue
            if run_id in refused:
                missed |= not await self._execute_aside(row, token, refused[run_id])
            elif self._asked.get(run_id) != token:
                to_ask.add(run_id)
        await self._ask(to_ask, token)
        self._loop.pump()
        return missed

    def asked_of(self, token: str) -> set[str]:
        """Return the runs that the driver with this token was asked for."""
        return {run_id for run_id, whom in self._asked.items() if whom == token}

    async def ask_again(self, run_id: str, token: str) -> None:
        """Ask for a run that was asked for before, to see whether there is an answer."""
        await self._ask([run_id], token)

    async def _ask_for_all(self, token: str) -> None:
        if self._asked_for_all != token:
            self._asked_for_all = token
            ask = Ask(token, self._uptake.fast)
            await self._store.request_drive(None, ask, self._clock.now())

    async def _ask(self, run_ids: Collection[str], token: str) -> None:
        if run_ids:
            ask = Ask(token, self._uptake.fast)
            await self._store.request_drive(run_ids, ask, self._clock.now())
            self._asked.update(dict.fromkeys(run_ids, token))

    async def _execute_aside(self, row: LeftRun, token: str, at: int) -> bool:
        """Execute a run that the driver with this *token* refused; False if it is another's."""
        run_id = row.run.id
        if not self._uptake.knows(row):
            if self._clock.now() - at > _UNCLAIMED:
                self._wishes.ids.discard(run_id)
                self._waiting.fail_run(run_id, unknown_workflow(row))
            return True
        await self._leases.take_aside()
        claim = self._store.claim(run_id, self._leases.token, before=row.driver, refused_by=token)
        return bool(await claim) and self._uptake.execute(row, fast=self._uptake.fast)
