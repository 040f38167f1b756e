"""
Invocations of runs with a record: each finished step is committed, and the handler goes on.

Node keeps the record. It is told `commit`, and says `ack`; or that the run is to end (`stopped`,
`timed-out`), that somebody else has it by now (`lost`), or that it could not be stored
(`unstored`). The same with `stop` at any time, for a step that takes long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from kit.deploy.function.protocol import Frame, Said
from kit.model.delivery import AfterStep, Checkpoint, Outcome, Suspended
from kit.netlify.records import entry_json, goes_on

_BREAKS_OFF = ("lost", "unstored")
_RESERVE = 8.0
"""Seconds before the end of an invocation from which on no step is begun, if one is done."""


class Recording:
    """
    The checkpointer of one invocation, and its end.

    *say* sends a frame to Node, which may say something from the first moment on.
    """

    after_step = AfterStep.COMMIT

    def __init__(
        self,
        say: Callable[[Frame], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.was_broken_off = False
        self._say = say
        self._clock = clock
        self._has_committed = False
        self._is_ending = False
        self._last_begin = float("inf")
        self._fresh: list[Checkpoint] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._under_way: dict[int, list[asyncio.Future[None]]] = {}
        self._commits = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, time_left: float | None, woken: Sequence[Checkpoint] = ()) -> None:
        """
        Set when no new step begins any more: after *time_left* seconds, less a reserve.

        Another invocation has the whole time for it. *woken* are sleeps that are over, to be
        stored with what comes first.
        """
        if time_left is not None:
            self._last_begin = self._clock() + time_left - min(_RESERVE, time_left / 3)
        self._fresh += woken

    @property
    def stopped(self) -> bool:
        """Whether nothing new is to begin in this invocation."""
        return self._is_ending or (self._has_committed and self._clock() >= self._last_begin)

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """
        Store *checkpoints*, together with what ends in the same turn of the loop.

        If they cannot be stored, or somebody else has the run, this never returns.
        """
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._fresh += checkpoints
        self._waiting.append(stored)
        await stored

    def _send(self) -> None:
        if self._over.done():
            return
        self._commits += 1
        self._under_way[self._commits], self._waiting = self._waiting, []
        entries, self._fresh = [entry_json(each) for each in self._fresh], []
        commit = {"type": "commit", "commit": self._commits, "entries": entries, "forget": []}
        self._say(commit)

    def receive(self, said: Said) -> None:
        """Take in what Node says of a commit, or of the run."""
        if said.what in _BREAKS_OFF or said.commit is None:
            self._is_ending = True
            if not self._over.done():
                self._over.set_result(None)
            return
        self._has_committed = True
        self._is_ending = self._is_ending or said.what != "ack"
        for stored in self._under_way.pop(said.commit, []):
            if not stored.done():
                stored.set_result(None)

    def left(self) -> list[Checkpoint]:
        """Return what is yet to be stored, before what the outcome brings."""
        return self._fresh

    async def outcome(self, executing: Coroutine[Any, Any, Outcome], clean_up: float) -> Outcome:
        """
        Return what the invocation comes to; if it is broken off, that nothing more comes of it.

        The handler then has *clean_up* seconds to end. `was_broken_off` tells that it may not have.
        """
        execution = asyncio.create_task(executing)
        await asyncio.wait((execution, self._over), return_when=asyncio.FIRST_COMPLETED)
        if execution.done():
            return goes_on(execution.result()) if self._has_committed else execution.result()
        self.was_broken_off = True
        execution.cancel()
        await asyncio.wait((execution,), timeout=clean_up)
        return Suspended()
