"""
The Python process of a deployed function: calls come in over descriptor 3, outcomes go back.

One process and one event loop serve one invocation after the other, for as long as the platform
keeps them. Nothing goes on between calls: what a call has started it ends, or, when its time is
over and something does not stop, Node ends the process (`isSpent`).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from kit.deploy.function import environment
from kit.deploy.function.channel import Channel
from kit.deploy.function.limits import admitted, rest_of, share_of
from kit.deploy.function.loading import Loader
from kit.deploy.function.logs import Logs, running
from kit.deploy.function.manifest import read_manifest
from kit.deploy.function.protocol import (
    Body,
    Frame,
    Gone,
    Invoke,
    Prepare,
    Request,
    Said,
    Took,
    call_of,
    decode,
)
from kit.execution.calling import call
from kit.model.delivery import Failed, Outcome, Suspended
from kit.model.errors import PayloadError, WorkflowImportError
from kit.model.event import Event
from kit.model.failure import Failure, failure_of
from kit.netlify.deliveries import delivery_of, error_json, outcome_json, planned_wait
from kit.project.environment import process_environ

DESCRIPTOR = 3

CLEAN_UP_SECONDS = 1.0
"""How long a handler that was cut off may clean up: less than is kept back for a call's end."""

FLUSH_SECONDS = 5.0
"""How long a call waits at most, at its end, for what it has deferred."""


def main() -> None:
    """Serve Node's calls until it goes away."""
    signal.signal(signal.SIGINT, lambda *_: None)  # at a terminal, Node is told as well
    end = socket.socket(fileno=DESCRIPTOR)
    end.set_inheritable(False)
    asyncio.run(_serve_and_leave(Path(process_environ()["KIT_BUNDLE"]), end))


async def _serve_and_leave(bundle: Path, end: socket.socket) -> None:
    await serve(bundle, end)
    os._exit(0)  # nobody waits any more for what may still be going on


async def serve(bundle: Path, end: socket.socket) -> None:
    """Serve the calls that come over *end*, until it is closed."""
    channel = Channel(end)
    child = Child(Loader(read_manifest(bundle)), channel, Logs(channel.send))
    channel.listen(child.receive)
    channel.send({"type": "ready", "pid": os.getpid()})
    gc.freeze()
    gc.enable()  # it was off while all of this was imported
    await channel.ended


class Child:
    """The calls under way, each a task of its own."""

    def __init__(self, loader: Loader, channel: Channel, logs: Logs) -> None:
        self.loader = loader
        self._channel = channel
        self._logs = logs
        self._tasks: set[asyncio.Task[None]] = set()
        self._exchanges: dict[int, Any] = {}
        self._recordings: dict[int, Any] = {}

    def receive(self, line: bytes) -> None:
        """Do what a line from Node asks for."""
        try:
            frame = decode(line)
        except Exception as error:  # noqa: BLE001 - whatever it is: Node waits for an end
            self._refuse(line, error)
            return
        if isinstance(frame, Body | Took | Gone | Said):
            of_call = self._recordings if isinstance(frame, Said) else self._exchanges
            if frame.number in of_call:  # else the call has ended
                of_call[frame.number].receive(frame)
        elif isinstance(frame, Prepare):
            with suppress(Exception):  # if it fails, it will fail again when it counts
                import kit.execution.execute  # noqa: F401 - it will be needed, too

                self.loader.workflow(frame.workflow)
        else:
            if isinstance(frame, Request):
                self._begin_exchange(frame)
            elif frame.run is not None:
                self._begin_recording(frame.number)
            task = asyncio.create_task(self._carry_out(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _refuse(self, line: bytes, error: Exception) -> None:
        failure, number = failure_of(error), call_of(line)
        if number is None:
            self._logs.error(f"a line from Node cannot be read\n{failure.traceback}")
            return
        is_final = isinstance(error, PayloadError)  # the same event would come again
        said = {"type": "failed", "final": is_final, "error": error_json(failure)}
        self._channel.send({**said, "call": number})

    def _begin_exchange(self, request: Request) -> None:
        from kit.deploy.function.exchange import (
            Exchange,  # only functions that answer requests need it
        )

        self._exchanges[request.number] = Exchange(request, self._channel.send)

    def _begin_recording(self, number: int) -> None:
        from kit.deploy.function.recording import Recording  # as above

        def say(said: Frame) -> None:
            self._channel.send({**said, "call": number})

        self._recordings[number] = Recording(say)

    async def _carry_out(self, frame: Invoke | Request) -> None:
        """Do one call, and in any case say what came of it."""
        began = time.monotonic()
        time_left = share_of(frame.time_left)
        try:
            self._logs.begin()
            environment.change(frame.environ, frame.unset)
            if isinstance(frame, Invoke):
                said = await self._invoke(frame, time_left)
            else:
                said = await self._answer(frame, time_left)
        except BaseException as error:  # noqa: BLE001 - whatever it is: Node waits for an end
            said = {"type": "failed", "final": False, "error": error_json(failure_of(error))}
        if time_left is not None and time.monotonic() - began >= time_left:
            said["isSpent"] = True  # what was cut off may not have stopped
        left = (
            FLUSH_SECONDS if frame.time_left is None else began + frame.time_left - time.monotonic()
        )
        await _flush(max(0.1, min(FLUSH_SECONDS, left - 0.2)))
        self._logs.finish(frame.number)
        self._recordings.pop(frame.number, None)
        self._channel.send({**said, "call": frame.number})

    async def _invoke(self, frame: Invoke, time_left: float | None) -> Frame:
        running.set((frame.number, str(frame.item.get("eventId"))))
        if frame.run is not None:
            return await self._invoke_recorded(frame, frame.run, time_left)
        outcome = await self._outcome(frame, time_left)
        if isinstance(outcome, Suspended) and outcome.failure is not None:
            self._logs.error(outcome.failure.traceback)  # the platform is not told of it
        return outcome_json(outcome, frame.item, _now())

    async def _invoke_recorded(
        self, frame: Invoke, run: Mapping[str, Any], time_left: float | None
    ) -> Frame:
        from kit.execution.execute import execute  # what answers requests needs none of it
        from kit.execution.record import Record
        from kit.netlify.records import failure_json, recorded_delivery, recorded_outcome

        try:
            delivery = recorded_delivery(frame.item, run)
        except ValueError as error:
            return recorded_outcome(Failed(failure_of(error), None))
        try:
            workflow = self.loader.workflow(frame.workflow)
        except Exception as error:  # noqa: BLE001 - what a file raises when it is imported
            return {"type": "failed", "final": False, "error": failure_json(_import_failure(error))}
        ahead = run["now"] - _now()  # Node's clock is the record's
        record = Record(dict(delivery.checkpoints), dict(delivery.asleep))
        woken = record.wake(run["now"])
        delivery = record.delivery(delivery.event, delivery.attempt, delivery.provider)
        recording = self._recordings[frame.number]
        recording.begin(time_left, woken)
        executing = execute(
            workflow,
            delivery,
            recording,
            now=lambda: _now() + ahead,
            send=_send,
            time_left=time_left,
            clean_up=CLEAN_UP_SECONDS,
        )
        outcome = await recording.outcome(executing, CLEAN_UP_SECONDS)
        told = recorded_outcome(outcome, recording.left())
        return {**told, "isSpent": True} if recording.was_broken_off else told

    async def _outcome(self, frame: Invoke, time_left: float | None) -> Outcome:
        from kit.execution.execute import Suspending, execute  # as above

        began = time.monotonic()
        try:
            delivery = delivery_of(frame.item)
        except ValueError as error:
            return Failed(failure_of(error), None)
        try:
            workflow = self.loader.workflow(frame.workflow)
        except Exception as error:  # noqa: BLE001 - what a file raises when it is imported
            return Failed(_import_failure(error), timedelta(milliseconds=planned_wait(frame.item)))
        if time_left is not None:
            time_left = rest_of(time_left, time.monotonic() - began)
        outcome = await execute(
            workflow,
            delivery,
            Suspending(),
            now=_now,
            send=_send,
            time_left=time_left,
            clean_up=CLEAN_UP_SECONDS,
        )
        return admitted(outcome, frame.size, is_background=workflow.background)

    async def _answer(self, request: Request, time_left: float | None) -> Frame:
        from kit.deploy.function.serve import answer

        running.set((request.number, None))
        exchange = self._exchanges[request.number]
        try:
            return await answer(
                request, exchange, self.loader.function, time_left, self._logs.error
            )
        finally:
            del self._exchanges[request.number]


async def _flush(seconds: float) -> None:
    """Wait for what was deferred: the process may be frozen as soon as the call has ended."""
    background = sys.modules.get("kit.client.background")
    if background is not None:
        await call(background.flush, (seconds,), {})


async def _send(event: Event) -> None:
    from kit.client.default import provider

    await provider().send(event)


def _import_failure(error: Exception) -> Failure:
    failure = failure_of(error)
    if not isinstance(error, WorkflowImportError):
        return failure
    return Failure(failure.type, failure.message, error.traceback_text, code=failure.code)


def _now() -> int:
    return time.time_ns() // 1_000_000
