"""
A driver that does not answer, and that those who wait for it are told so.

Who holds the lease is alive, but may be suspended, or its event loop kept from turning. It is asked
again, now and then, for a run that is due: a driver takes such a request back within a moment.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from kit.engine.asking import Asking
from kit.engine.clock import Clock
from kit.engine.leases import Leases
from kit.model.run import Run, RunStatus
from kit.store.sqlite.lease import holder
from kit.store.sqlite.runs import RunStore

SILENT_MS = 10_000
"""After so long without an answer it is told."""

ASK_AGAIN_MS = 5_000
"""How long an answer is good for, while what is due does not end."""

LOOKS_MS = 2_000
"""What lies between two looks counts as so much at most: this process, or the machine, may have
been suspended itself."""

_log = logging.getLogger("kit")


class Silence:
    """Whether the driver answers one engine, which asks by *asking*; told to the log, once each."""

    def __init__(self, store: RunStore, clock: Clock, leases: Leases, asking: Asking) -> None:
        self._store = store
        self._clock = clock
        self._leases = leases
        self._asking = asking
        self._looked = self._asked = clock.steady()
        self._silent = 0
        self._is_told = False

    async def look(self, due: Collection[str]) -> None:
        """See whether the driver answers what it was asked about runs that are *due*."""
        token, now = self._store.reader.driver(), self._clock.steady()
        since, self._looked = now - self._looked, now
        run_ids = self._asking.asked_of(token) & set(due)
        if not self._is_unanswered(token, run_ids):
            self._silent, self._is_told = 0, False
            if run_ids and now - self._asked >= ASK_AGAIN_MS:
                self._asked = now
                await self._asking.ask_again(min(run_ids), token)
            return
        self._silent += min(since, LOOKS_MS)
        if self._is_silent and not self._is_told:
            self._is_told = True
            _log.warning("%s", self._told(run_ids))

    def _is_unanswered(self, token: str, run_ids: Collection[str]) -> bool:
        return any(
            each.what == "drive" and each.driver == token and each.run_id in run_ids
            for each in self._store.reader.requests()
        )

    @property
    def _is_silent(self) -> bool:
        return self._silent >= SILENT_MS

    def _told(self, run_ids: Collection[str]) -> str:
        waits = f"run {min(run_ids)} waits" if len(run_ids) == 1 else f"{len(run_ids)} runs wait"
        return f"in {self._store.path}, {waits}: {self._who_drives()}"

    def standing(self, run: Run) -> str:
        """Say how a run stands and who drives it, for somebody who has waited in vain."""
        who = "this process drives it" if self._leases.drives else self._who_drives()
        return f"{_stands(run, self._clock.now())}, and {who}"

    def _who_drives(self) -> str:
        pid = holder(self._store.path)
        if not pid:
            return "no process drives it now"
        if not self._is_silent:
            return f"process {pid} drives it"
        seconds = self._silent // 1000
        return (
            f"process {pid} drives these runs and has not answered for {seconds} s. It is"
            f" suspended, or busy with code that lets nothing else run: `kill -CONT {pid}` wakes it"
            " if it is suspended, and once it has ended another process goes on"
        )


def _stands(run: Run, now: int) -> str:
    if run.status is RunStatus.RUNNING or run.due <= now:
        return f"it is {run.status}"
    until = datetime.fromtimestamp(run.due / 1000).astimezone()
    return f"it is {run.status} until {until:%Y-%m-%d %H:%M:%S%z}"
