"""
Random programs with limits of time around their steps, on a stage that takes its time to store.

A limit may end at any moment: before a step, in it, while what it came to is stored, or while that
waits for its turn. What a program comes to depends on that; but all that it has seen is a step's
value in the end, and every replay must see the same.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kit.model.delivery import AfterStep, Checkpoint
from kit.model.event import Event
from kit.model.workflow import Workflow
from kit.testing.stage import Stage

RUN_ID = "00000000-0000-4000-8000-000000000001"
LIMITS = ("limit", "wait_for", "first", "race")
WITHIN = ("step", "step", "send", "together", "in turn")


class Node(NamedTuple):
    """One thing a program does, which takes *seconds*, or may; *number* is its own."""

    kind: str
    number: int
    seconds: float
    parts: tuple[Node, ...] = ()


def some(generator: random.Random) -> list[Node]:
    """Return a program of *generator*'s choice."""
    numbers = iter(range(1000))

    def node(kinds: Sequence[str], depth: int) -> Node:
        kind = generator.choice(kinds)
        is_leaf = kind in ("step", "send")
        seconds = generator.choice((0, 0.002, 0.006) if is_leaf else (0.003, 0.008, 0.02))
        inner = WITHIN if depth else WITHIN[:3]
        parts = (
            () if is_leaf else tuple(node(inner, depth - 1) for _ in range(generator.randint(1, 3)))
        )
        # no two of them end in the same moment
        return Node(kind, next(numbers), seconds * (1 + generator.random() / 9), parts)

    return [node(LIMITS, 2) for _ in range(generator.randint(1, 2))]


class SlowStage(Stage):
    """
    A stage that takes up to *slowness* seconds to store something, and to send.

    If nobody waits for that any more, something may be stored or may not.
    """

    slowness = 0.0

    async def commit(self, checkpoints: Sequence[Checkpoint]) -> None:
        before = random.random() * self.slowness
        await asyncio.sleep(before)
        await super().commit(checkpoints)
        await asyncio.sleep(random.random() * self.slowness - before)

    async def send(self, event: Event) -> None:
        await asyncio.sleep(random.random() * self.slowness)
        await super().send(event)


class LimitedProgram:
    """A program as a handler; `done` counts the calls that came to their end, by step id."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.done: Counter[str] = Counter()
        self._seen: list[Any] = []

    async def handle(self, input: Any, context: Any) -> None:
        """Do it all, and keep what was seen in a step after each part."""
        self._seen = []
        for number, each in enumerate(self.nodes):
            value = await self._do(each, context)
            seen = json.loads(json.dumps([value, self._seen]))
            kept = await context.step.run(f"seen-{number}", self._function(f"seen-{number}", seen))
            assert kept == seen, f"a replay has seen {seen}, and before it was {kept}"
            await context.step.sleep(f"nap-{number}", 1)

    def _function(self, name: str, value: Any, seconds: float = 0) -> Callable[[], Any]:
        async def function() -> Any:
            if seconds:
                await asyncio.sleep(seconds)
            self.done[name] += 1
            return value

        return function

    async def _do(self, node: Node, context: Any) -> Any:
        name = f"{node.kind}-{node.number}"
        if node.kind == "step":
            value = await context.step.run(name, self._function(name, name, node.seconds))
        elif node.kind == "send":
            value = await context.send_event("sent", {"by": name})
        elif node.kind == "in turn":
            value = [await self._do(each, context) for each in node.parts]
        elif node.kind == "together":
            value = await asyncio.gather(*(self._do(each, context) for each in node.parts))
        else:
            value = await self._limited(node, name, context)
        self._seen.append(name)
        return value

    async def _limited(self, node: Node, name: str, context: Any) -> Any:
        if node.kind in ("first", "race"):
            return await self._first(node, context)
        doing = asyncio.gather(*(self._do(each, context) for each in node.parts))
        try:
            if node.kind == "wait_for":
                return await asyncio.wait_for(doing, node.seconds)
            async with asyncio.timeout(node.seconds):
                return await doing
        except TimeoutError:
            return await context.step.run(f"else-{name}", self._function(f"else-{name}", "late"))

    async def _first(self, node: Node, context: Any) -> Any:
        tasks = [asyncio.create_task(self._do(each, context)) for each in node.parts]
        if node.kind == "race":
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.wait(tasks, timeout=node.seconds)
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        return [None if each.cancelled() else each.result() for each in tasks]


async def check(nodes: Sequence[Node], after_step: AfterStep, slowness: float) -> None:
    """
    Deliver a program until it has ended.

    Raises:
        AssertionError: If a replay has seen something else, or a finished step was repeated.
    """
    program = LimitedProgram(nodes)
    workflow = Workflow(program.handle, "limited")
    stage = SlowStage(workflow, Event("limited", None, RUN_ID), after_step)
    stage.slowness = slowness
    while not stage.has_ended:
        await asyncio.wait_for(stage.deliver(), 60)
        stage.pass_time()
    assert stage.played.completed, stage.played.failure
    if after_step is AfterStep.COMMIT:
        assert set(program.done.values()) == {1}, program.done
