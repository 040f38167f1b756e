"""
Run a workflow to its end in a test: in memory, with a virtual clock, without a network.

    played = play(publish_draft, {"title": "Ship weekly digest"})
    assert played.result["title"] == "Ship weekly digest"
    assert played.steps == ["persist-title"]

A sleep of thirty days takes no time. `play` uses the same `execute` as the local engine and the
deployed function; `Stage` carries out one delivery at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kit.execution import rehearsing
from kit.execution.execute import LINGER_SECONDS, execute
from kit.execution.record import Record
from kit.model.annotations import encode_input
from kit.model.delivery import AfterStep, Checkpoint, Completed, Failed, Outcome, Suspended
from kit.model.duration import to_milliseconds
from kit.model.event import Event, derived_id
from kit.model.failure import Failure
from kit.model.progress import ProgressKind
from kit.model.signals import Signal
from kit.model.workflow import Workflow

START = 1_767_225_600_000
"""When the virtual clock starts: 2026-01-01T00:00:00Z, in milliseconds since the epoch."""


@dataclass
class Played:
    """
    What a workflow did.

    `steps` holds the id of each step whose function was called, in order, once per call;
    `sleeps` the ids of sleeps, in order; `sent` the events it sent; `failures` each failed
    attempt; `elapsed` the virtual milliseconds it took.
    """

    result: Any = None
    failure: Failure | None = None
    steps: list[str] = field(default_factory=list)
    sleeps: list[str] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    invocations: int = 0
    elapsed: int = 0

    @property
    def completed(self) -> bool:
        """Whether the run ended well."""
        return self.failure is None

    def value(self, step_id: str) -> Any:
        """Return what the checkpoint of a step holds, as plain data."""
        return json.loads(self.checkpoints[step_id].text or "{}").get("value")


def play(
    workflow: Workflow[..., Any],
    input: Any = None,
    *,
    replay: Literal["pauses", "always"] = "always",
    max_invocations: int = 1000,
) -> Played:
    """
    Run *workflow* to its end and tell what it did; see `aplay`, for use in a running loop.

    With *replay* `always`, every fresh step ends its invocation, as on Netlify; with `pauses`
    only sleeps do, as in the local engine.

    Raises:
        PayloadError: If *input* is invalid.
        RuntimeError: If the run has not ended after *max_invocations*, or a loop is running.
    """
    if _is_in_a_loop():
        msg = "play() cannot be called from a running event loop; write await aplay(…)"
        raise RuntimeError(msg)
    return asyncio.run(aplay(workflow, input, replay=replay, max_invocations=max_invocations))


async def aplay(
    workflow: Workflow[..., Any],
    input: Any = None,
    *,
    replay: Literal["pauses", "always"] = "always",
    max_invocations: int = 1000,
) -> Played:
    """Run *workflow* to its end on the running loop; see `play`."""
    text = encode_input(workflow, input).text
    event_id = derived_id("play", workflow.event_name, text)
    after_step = AfterStep.SUSPEND if replay == "always" else AfterStep.COMMIT
    stage = Stage(workflow, Event(workflow.event_name, json.loads(text), event_id), after_step)
    for _ in range(max_invocations):
        await stage.deliver()
        if stage.has_ended:
            return stage.played
        stage.pass_time()
    msg = f"{workflow.event_name!r} has not ended after {max_invocations} invocations"
    raise RuntimeError(msg)


class Crash(Signal):
    """The process has ended, as far as a stage is concerned: what was not committed is lost."""


class Stage:
    """
    Where *workflow* answers *event*, one delivery at a time: its clock, record and attempt.

    It is the checkpointer of its deliveries, and counts what it commits: with `crash_at`, the
    commit of that number, from 1, is the last thing that happens; with `loses_outcome`, what the
    next delivery comes to is. Set `stopped` to end the run at its next step or sleep.
    """

    def __init__(
        self, workflow: Workflow[..., Any], event: Event, after_step: AfterStep = AfterStep.SUSPEND
    ) -> None:
        self.workflow = workflow
        self.event = event
        self._after_step = after_step
        self.stopped = False
        self.crash_at: int | None = None
        self.loses_outcome = False
        self.linger = LINGER_SECONDS
        self.clock = START
        self.attempt = 0
        self.due = START
        self.record = Record()
        self.committed: list[tuple[str, ...]] = []
        self._recorded = self._commits = 0
        self.seen: list[tuple[ProgressKind, Mapping[str, Any]]] = []
        self.outcome: Outcome | None = None
        self.has_ended = False
        self.played = Played(checkpoints=self.record.checkpoints)

    @property
    def after_step(self) -> AfterStep:
        """What happens after a fresh step; a replay comes less often where there are many."""
        if self._after_step is not AfterStep.SUSPEND:
            return self._after_step
        return rehearsing.after_step(self._recorded, len(self.committed) - self._commits)

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """What the run has recorded so far, by step id."""
        return self.record.checkpoints

    @property
    def started(self) -> list[str]:
        """The ids of steps whose functions were called in the last delivery."""
        return [data["stepId"] for what, data in self.seen if what is ProgressKind.STEP_STARTED]

    async def deliver(self, *, time_left: float | None = None) -> Outcome | None:
        """
        Carry out one invocation and store what it comes to, which is returned.

        None is returned, and nothing stored, if there was a `Crash`.
        """
        self.seen = []
        self.played.invocations += 1
        self.record.wake(self.clock)
        self._recorded, self._commits = len(self.record.checkpoints), len(self.committed)
        event = replace(self.event, data=json.loads(json.dumps(self.event.data)))
        executing = execute(
            self.workflow,
            self.record.delivery(event, self.attempt),
            self,
            now=self.now,
            send=self.send,
            observe=self.observe,
            time_left=time_left,
            linger=self.linger,
        )
        self._crashed = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(executing)
        try:
            await asyncio.wait([running, self._crashed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait([running])
        if self._crashed.done() or self.loses_outcome:
            self.outcome, self.loses_outcome = None, False
        else:
            self.outcome = running.result()
            self._take(self.outcome)
        return self.outcome

    def now(self) -> int:
        """Return what the clock says, in milliseconds since the epoch."""
        return self.clock

    def pass_time(self) -> None:
        """Let the clock go on to when the run does."""
        self.clock = max(self.clock, self.due)

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep *checkpoints*, as a checkpointer."""
        if self._crashed.done():
            raise Crash
        self.committed.append(tuple(each.step_id for each in checkpoints))
        self.record.keep(checkpoints)
        if self.crash_at is not None and len(self.committed) >= self.crash_at:
            self._crashed.set_result(None)
            self.crash_at = None
            raise Crash

    async def send(self, event: Event) -> None:
        """Take an event that the workflow sends; the same one twice is one, as everywhere."""
        if all(each.id != event.id for each in self.played.sent):
            self.played.sent.append(event)

    def observe(self, what: ProgressKind, data: Mapping[str, Any]) -> None:
        """Note what happens."""
        self.seen.append((what, data))
        if what is ProgressKind.STEP_STARTED:
            self.played.steps.append(data["stepId"])
        elif what is ProgressKind.SLEPT:
            self.played.sleeps.append(data["stepId"])

    def _take(self, outcome: Outcome) -> None:
        """Store what an invocation has come to, as an engine does."""
        self.record.forget(getattr(outcome, "forgotten", ()))
        self.record.keep(outcome.checkpoints)
        self.due = self.clock
        if isinstance(outcome, Completed):
            self.played.result = json.loads(outcome.result)
            self.has_ended = True
        elif isinstance(outcome, Failed):
            self._failed(outcome)
        else:
            self._suspended(outcome)
        self.played.elapsed = self.clock - START

    def _failed(self, outcome: Failed) -> None:
        self.played.failures.append(outcome.failure)
        if outcome.retry_in is None:
            self.played.failure = outcome.failure
            self.has_ended = True
        else:
            self.attempt += 1
            self.due = self.clock + to_milliseconds(outcome.retry_in)

    def _suspended(self, outcome: Suspended) -> None:
        dues = [sleep.due for sleep in outcome.sleeps]
        if outcome.failure:
            self.played.failures.append(outcome.failure)
            self.attempt += 1
            self.due = max(dues)
            return
        self.record.fall_asleep(outcome.sleeps, self.clock)
        if dues and not outcome.goes_on:
            self.due = min(dues)


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
