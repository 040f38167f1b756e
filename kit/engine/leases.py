"""The right to execute, as one engine has it: as the driver, or on the side; and who else has."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable
from uuid import uuid4

from kit.engine.clock import Clock
from kit.execution.threads import begin_afresh, under_way, when_ended
from kit.model.errors import StoreError, StoreInUseError
from kit.store.sqlite.lease import Lease, is_held
from kit.store.sqlite.runs import RunStore
from kit.store.sqlite.watched_file import identity

_LANES = 1000
_LOOKS_AWAY = 50


class Leases:
    """The leases that one engine holds on the file of *store*, under a *token* of its own."""

    def __init__(self, store: RunStore, clock: Clock) -> None:
        self.token = uuid4().hex
        self._store = store
        self._clock = clock
        self._main: Lease | None = None
        self._side: Lease | None = None
        self._busy: list[Hashable] = []
        self._file, self._away = identity(store.path), 0

    @property
    def drives(self) -> bool:
        """Whether this engine executes what everybody asks for."""
        return self._main is not None

    @property
    def executes(self) -> bool:
        """Whether it executes anything: as the driver, or on the side."""
        return self._main is not None or self._side is not None

    def are_free(self) -> bool:
        """
        Tell whether nobody is the driver, of whatever process, and there is a file to drive.

        One that was moved away may be put back: after `_LOOKS_AWAY` such looks it is tried all the
        same, which tells that it is lost.
        """
        is_away = identity(self._store.path) != self._file
        self._away = self._away + 1 if is_away else 0
        return not is_held(self._store.path) and not 0 < self._away < _LOOKS_AWAY

    def take(self) -> bool:
        """Take the driver's lease, unless somebody holds it."""
        try:
            self._main = Lease(self._store.path, patience=0)
        except StoreInUseError:
            return False
        return True

    def give_up(self) -> None:
        """Give the driver's lease back."""
        if self._main is not None:
            self._main.release()
            self._main = None

    async def take_aside(self) -> None:
        """Take a lease on the side, if there is none yet."""
        if self._side is None:
            self._side = self._free_lane()
            await self.register(self._side.lane, everything=False)

    async def register(self, lane: int, *, everything: bool) -> None:
        """Store under which token this engine executes in a *lane*."""
        await self._store.register(lane, self.token, self._clock.now(), everything)

    def living(self) -> set[str | None]:
        """Return the tokens of the other engines that execute runs, or may."""
        return {each for each in self._store.reader.living() if each != self.token}

    def check(self) -> None:
        """Raise `StoreError` if one of them has lost its file; from any thread."""
        for lease in (self._main, self._side):
            if lease is not None:
                lease.check()

    def note_busy(self) -> None:
        """Note which plain steps still go on, though nobody waits for them any more."""
        if not self.executes:
            return
        keys = [key for key in under_way() if isinstance(key, tuple)]
        try:
            self._busy = [key for key in keys if self._store.reader.find(key[0]) is not None]
        except StoreError:
            self._busy = [*keys]  # any of them may be on this file

    def release(self) -> None:
        """Let others take over: once what `note_busy` has found has ended."""
        when_ended(self._busy, self._release)

    def _release(self) -> None:
        self.give_up()
        if self._side is not None:
            self._side.release()
            self._side = None

    def _free_lane(self) -> Lease:
        for lane in range(1, _LANES):
            with contextlib.suppress(StoreInUseError):
                return Lease(self._store.path, lane, patience=0)
        msg = f"{self._store.path} is in use by {_LANES} processes with different workflows"
        raise StoreInUseError(msg, path=str(self._store.path), pid=0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_afresh)
