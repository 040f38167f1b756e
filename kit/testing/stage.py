"""
Run a workflow to its end in a test: in memory, with a virtual clock, without a network.

    played = play(publish_draft, {"title": "Ship weekly digest"})
    assert played.result["title"] == "Ship weekly digest"
    assert played.steps == ["persist-title"]

A sleep of thirty days takes no time. `play` uses the same `execute` as the local engine and the
deployed function.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kit.execution.execute import execute
from kit.model.annotations import encode_input
from kit.model.delivery import AfterStep, Checkpoint, Completed, Delivery, Failed, Outcome
from kit.model.duration import due_at, to_milliseconds
from kit.model.event import Event, derived_id
from kit.model.failure import Failure
from kit.model.run import ProgressKind
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
    if asyncio._get_running_loop() is not None:
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
    stage = _Stage(Event(workflow.event_name, text, event_id), replay)
    for _ in range(max_invocations):
        if await stage.act(workflow):
            stage.played.elapsed = stage.clock - START
            return stage.played
    msg = f"{workflow.event_name!r} has not ended after {max_invocations} invocations"
    raise RuntimeError(msg)


class _Stage:
    """Where a play happens: the clock, the checkpoints, the attempt."""

    def __init__(self, event: Event, replay: str) -> None:
        self.event = event
        self.clock = START
        self.attempt = 0
        self.after_step = AfterStep.SUSPEND if replay == "always" else AfterStep.COMMIT
        self.stopped = False
        self.played = Played()

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            self.played.checkpoints[checkpoint.step_id] = checkpoint

    async def send(self, event: Event) -> None:
        self.played.sent.append(event)

    def observe(self, what: str, data: Mapping[str, Any]) -> None:
        if what == ProgressKind.STEP_STARTED:
            self.played.steps.append(data["stepId"])
        elif what == ProgressKind.SLEPT:
            self.played.sleeps.append(data["stepId"])

    async def act(self, workflow: Workflow[..., Any]) -> bool:
        """Play one invocation; tell whether the run has ended."""
        event = replace(self.event, data=json.loads(self.event.data))  # the handler may change it
        delivery = Delivery(event, self.attempt, dict(self.played.checkpoints))
        self.played.invocations += 1
        outcome = await execute(
            workflow,
            delivery,
            self,
            now=lambda: self.clock,
            send=self.send,
            observe=self.observe,
        )
        await self.commit(outcome.checkpoints)
        return self.take(outcome)

    def take(self, outcome: Outcome) -> bool:
        if isinstance(outcome, Completed):
            self.played.result = json.loads(outcome.result)
            return True
        if isinstance(outcome, Failed):
            self.played.failures.append(outcome.failure)
            if outcome.retry_in is None:
                self.played.failure = outcome.failure
                return True
            self.attempt = self.attempt + 1
            self.clock += to_milliseconds(outcome.retry_in)
            return False
        if outcome.failure:
            self.played.failures.append(outcome.failure)
        for sleep in outcome.sleeps:
            self.played.checkpoints[sleep.step_id] = Checkpoint(sleep.step_id, sleep.kind)
        self.clock = max(
            [self.clock, *(due_at(sleep.until, self.clock) for sleep in outcome.sleeps)]
        )
        return False
