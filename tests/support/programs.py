"""
Random programs of steps, and what they must come to however they are interrupted.

A program is a tree. It is carried out on a stage in several ways, and once without any durability;
all must give the same result and the same events, and no step that was kept may run again.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from kit.model.delivery import AfterStep, Completed
from kit.model.event import Event
from kit.model.retry import RetryPolicy
from kit.model.workflow import Workflow
from kit.testing.stage import Stage

RUN_ID = "11111111-1111-4111-8111-111111111111"
RERAISED = ("plain", "from", "within", "compensated", "group")
SEQUENTIAL = (
    "act", "act", "plain", "nested", "sleep", "late", "send", "caught", "cut", "again", "flaky"
)  # fmt: skip
LEAVES = (*SEQUENTIAL, "held", "busy")
PLAIN = ("gather", "collect", "group", "completed", "first")
LOCKED = ("locked", "limited", "pooled", "signalled", "turns")
PARALLEL = (*PLAIN, *LOCKED)
LIMIT = 0.003
"""Seconds until a slow step is cut off, or a long sleep."""
DAY = 86_400


@dataclass(frozen=True)
class Node:
    """
    One thing a program does.

    `kind` is one of LEAVES, or one of PARALLEL, which has `parts`, each a sequence. `n` is how
    often, how long, or how.
    """

    kind: str
    n: int = 0
    parts: tuple[tuple[Node, ...], ...] = ()


def leaves() -> st.SearchStrategy[Node]:
    """Return what a program may do at one place."""
    return st.builds(Node, st.sampled_from(LEAVES), st.integers(0, 9))


def sequences(depth: int = 3) -> st.SearchStrategy[tuple[Node, ...]]:
    """Return programs up to *depth* deep."""
    node = leaves()
    if depth:
        parts = st.lists(sequences(depth - 1), min_size=1, max_size=3).map(tuple)
        node = st.one_of(node, node, st.builds(Node, st.sampled_from(PARALLEL), st.just(0), parts))
    return st.lists(node, min_size=1, max_size=3).map(tuple)


def some(generator: random.Random, depth: int = 3) -> tuple[Node, ...]:
    """Return a program of *generator*'s choice, as `sequences` would."""
    nodes = []
    for _ in range(generator.randint(1, 3)):
        if depth and generator.random() < 0.4:
            parts = tuple(some(generator, depth - 1) for _ in range(generator.randint(1, 3)))
            nodes.append(Node(generator.choice(PARALLEL), 0, parts))
        else:
            nodes.append(Node(generator.choice(LEAVES), generator.randint(0, 9)))
    return tuple(nodes)


class Boom(Exception):
    """What steps fail with."""


class Other(Exception):
    """What is raised in its place."""


@dataclass
class World:
    """What the steps of a program have done, outside of any run."""

    tried: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    life: int = 0
    has_failed: bool = False
    is_lax: bool = False  # order may change
    is_recorded: Callable[[str], bool] = lambda _step_id: False
    is_kept: Callable[[str], bool] = lambda _step_id: False


class Program:
    """A handler that carries out a tree, in a world."""

    def __init__(self, nodes: tuple[Node, ...], world: World) -> None:
        self.nodes = nodes
        self.world = world
        self.order: list[str] = []
        self.lock = asyncio.Lock()

    async def handle(self, input: Any, context: Any) -> Any:
        """Carry out the program, as a handler."""
        self.world.life += 1
        life = copy.copy(self)  # nobody else holds it, or its lock
        life.order, life.lock = [], asyncio.Lock()
        return await life.sequence(life.nodes, context, "")

    async def sequence(self, nodes: tuple[Node, ...], context: Any, path: str) -> list[Any]:
        values = []
        for number, node in enumerate(nodes):
            name = f"{path}{number}"
            if node.kind in PARALLEL:
                values.append(await self.parallel(node, context, name))
            else:
                values.append(await getattr(self, node.kind)(node, context, name))
            if node.kind != "busy":  # how long that takes is no business of a replay's
                self.order.append(name)
        return values

    def step(self, context: Any, name: str, value: Any = None, fails: int = 0) -> Awaitable[Any]:
        world, seen = self.world, tuple(self.order)
        invocation = getattr(context, "_invocation", None)
        is_over = invocation is not None and invocation.gate.over  # it is being unwound
        if world.is_recorded(name) and not is_over:
            world.asked[name] = seen
        known = world.seen.get(name, seen)
        if known != seen and not world.is_lax and not is_over:
            world.problems.append(f"{name} is asked for after {seen}, and was after {known}")

        async def act() -> Any:
            self.begins(name)
            world.seen[name] = seen
            world.tried[name] += 1
            await asyncio.sleep(0)
            if world.tried[name] <= fails:
                raise Boom(name)
            world.finished[name] += 1
            return value if value is not None else name

        return context.step.run(name, act)  # type: ignore[no-any-return]

    def begins(self, name: str) -> None:
        """Note that the function of a step is called."""
        if self.world.is_kept(name):
            self.world.problems.append(f"{name} is kept, and runs again")

    async def act(self, node: Node, context: Any, name: str) -> Any:
        return await self.step(context, name)

    async def plain(self, node: Node, context: Any, name: str) -> Any:
        life = self.world.life

        def act() -> str:
            if life == self.world.life:  # a thread may outlive a crash, where no process does
                self.begins(name)
            self.world.finished[name] += 1
            return name

        return await context.step.run(name, act)

    async def nested(self, node: Node, context: Any, name: str) -> Any:
        async def outer() -> list[Any]:
            self.begins(name)
            inner = [context.step.run(f"{name}/{n}", self.inner, f"{name}/{n}") for n in range(2)]
            return [*await asyncio.gather(*inner)]

        return await context.step.run(name, outer)

    async def inner(self, name: str) -> str:
        self.begins(name)
        await asyncio.sleep(0)
        return name

    async def sleep(self, node: Node, context: Any, name: str) -> Any:
        await context.step.sleep(name, node.n % 4 + 1)
        return "slept"

    async def send(self, node: Node, context: Any, name: str) -> Any:
        await context.send_event("e", node.n % 3, delay=node.n % 2 or None)
        return "sent"

    async def busy(self, node: Node, context: Any, name: str) -> Any:
        for _ in range(node.n):
            await asyncio.sleep(0)
        return "rested"

    async def held(self, node: Node, context: Any, name: str) -> Any:
        """Do something with a lock that all branches share; it lies within no other."""
        async with self.lock:
            kind = SEQUENTIAL[node.n % len(SEQUENTIAL)]
            return await getattr(self, kind)(node, context, name)

    async def caught(self, node: Node, context: Any, name: str) -> Any:
        try:
            await self.step(context, name, fails=1000)
        except Boom as error:
            return f"caught {error}"

    async def cut(self, node: Node, context: Any, name: str) -> Any:
        self.is_anew(name)

        async def slow() -> None:
            self.world.tried[name] += 1
            await asyncio.sleep(3600)

        try:
            async with asyncio.timeout(LIMIT):
                await context.step.run(name, slow)
        except TimeoutError:
            return await self.step(context, f"{name}-fallback")

    async def late(self, node: Node, context: Any, name: str) -> Any:
        self.is_anew(name)
        self.world.tried[name] += 1
        try:
            async with asyncio.timeout(LIMIT):
                await context.step.sleep(name, DAY)
        except TimeoutError:
            return await self.step(context, f"{name}-fallback")
        return "not in time"

    def is_anew(self, name: str) -> None:
        """
        Note that a cut-off that was forgotten with a failure is recorded anew.

        It is so after what had come of it: a replay cannot tell any more what came first.
        """
        world = self.world
        if world.has_failed and world.tried[name] and not world.is_recorded(name):
            world.is_lax = True

    async def again(self, node: Node, context: Any, name: str) -> Any:
        for number in range(3):
            try:
                return await self.step(context, f"{name}-{number}", name, 1000 * (number < 2))
            except Boom:
                continue
        return None

    async def flaky(self, node: Node, context: Any, name: str) -> Any:
        how = RERAISED[node.n % len(RERAISED)]
        try:
            return await self.step(context, name, fails=node.n % 2 + 1)
        except Boom as error:
            if how == "plain":
                raise
            if how == "from":
                raise Other(name) from error
            if how == "within":
                raise Other(name)  # noqa: B904
            if how == "group":
                raise ExceptionGroup("several", [error]) from None
            await self.step(context, f"{name}-compensation")
            raise

    async def parallel(self, node: Node, context: Any, name: str) -> Any:
        begins = [
            functools.partial(self.sequence, part, context, f"{name}.{number}.")
            for number, part in enumerate(node.parts)
        ]
        if node.kind in LOCKED:
            return await getattr(self, node.kind)(begins)
        branches = [begin() for begin in begins]
        if node.kind == "gather":
            return await asyncio.gather(*branches)
        if node.kind == "collect":
            found = await asyncio.gather(*branches, return_exceptions=True)
            for each in found:
                if isinstance(each, BaseException):
                    raise each
            return found
        if node.kind == "group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each) for each in branches]
            return [task.result() for task in tasks]
        if node.kind == "completed":
            tasks = [asyncio.ensure_future(each) for each in branches]  # it would shuffle them
            values = [await each for each in asyncio.as_completed(tasks)]
            await self.step(context, f"{name}-{_short(values[0])}")  # which came first
            return sorted(values, key=repr)
        return await self.first(branches, context, name)

    async def locked(self, parts: list[Any], most: int = 1) -> Any:
        limit = asyncio.Semaphore(most)

        async def within(part: Any) -> Any:
            async with limit:
                return await part()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(within(each)) for each in parts]
        return [task.result() for task in tasks]

    async def limited(self, parts: list[Any]) -> Any:
        return await self.locked(parts, 2)

    async def pooled(self, parts: list[Any]) -> Any:
        todo: asyncio.Queue[Any] = asyncio.Queue(1)
        values: list[Any] = []

        async def fill() -> None:
            for each in parts:
                await todo.put(each)
            for _ in range(2):
                await todo.put(None)

        async def work() -> None:
            while (part := await todo.get()) is not None:
                values.append(await part())

        async with asyncio.TaskGroup() as group:
            for each in (fill(), work(), work()):
                group.create_task(each)
        return sorted(values, key=repr)

    async def signalled(self, parts: list[Any]) -> Any:
        """All begin when the first has ended; each gives the others a sign of its own."""
        begin = asyncio.Event()
        ended = [asyncio.get_running_loop().create_future() for _ in parts]

        async def branch(number: int, part: Any) -> Any:
            if number:
                await begin.wait()
            value = await part()
            begin.set()
            ended[number].set_result(None)
            await ended[number - 1]
            return value

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch(*each)) for each in enumerate(parts)]
        return [task.result() for task in tasks]

    async def turns(self, parts: list[Any]) -> Any:
        """They go one after the other, the last first."""
        changed, left = asyncio.Condition(), len(parts)

        async def branch(number: int, part: Any) -> Any:
            nonlocal left
            async with changed:
                await changed.wait_for(lambda: left == number)
            value = await part()
            async with changed:
                left -= 1
                changed.notify_all()
            return value

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(branch(n, each)) for n, each in enumerate(parts, 1)]
        return [task.result() for task in tasks]

    async def first(self, branches: list[Any], context: Any, name: str) -> Any:
        pending = {*[asyncio.ensure_future(each) for each in branches]}
        values: list[Any] = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            values += sorted((each.result() for each in done), key=repr)
            await self.step(context, f"{name}-{len(values)}-{_short(values[-1])}")
        return sorted(values, key=repr)


def _short(value: Any) -> str:
    return json.dumps(value)[:40]


class _Direct:
    """A context without durability: steps are called, sleeps are over, events are noted."""

    def __init__(self) -> None:
        self.step = self
        self.sent: list[tuple[str, Any]] = []

    async def run(self, step_id: str, function: Callable[..., Any], *args: Any) -> Any:
        value = function(*args)
        return await value if asyncio.iscoroutine(value) else value

    async def sleep(self, step_id: str, duration: float) -> None:
        await asyncio.sleep(3600 if duration == DAY else 0)

    async def send_event(self, name: str, data: Any, **_when: Any) -> None:
        self.sent.append((name, data))


async def reference(nodes: tuple[Node, ...]) -> tuple[Any, Counter[tuple[str, Any]]]:
    """Return what a program comes to if it is simply begun again when it fails; and its events."""
    world = World()
    for _ in range(100):
        context = _Direct()
        world.seen = {}
        try:
            result = await Program(nodes, world).handle(None, context)
        except Exception:  # noqa: BLE001 - it is tried again, as a run is
            continue
        return json.loads(json.dumps(result)), Counter(context.sent)
    raise AssertionError


async def durable(
    nodes: tuple[Node, ...], after_step: AfterStep, crashes: random.Random | None = None
) -> tuple[Any, Counter[tuple[str, Any]]]:
    """Return what a program comes to on a stage, with a crash at one in seven commits."""
    world = World()
    program = Program(nodes, world)
    workflow = Workflow(program.handle, "w", retry=RetryPolicy(90))
    stage = Stage(workflow, Event("w", None, RUN_ID), after_step)
    world.is_recorded = stage.checkpoints.__contains__
    world.is_kept = lambda step_id: (
        (kept := stage.checkpoints.get(step_id)) is not None
        and (kept.text or "").startswith('{"value":')
    )
    for _ in range(1000):
        if crashes is not None and crashes.random() < 0.5:
            stage.crash_at = len(stage.committed) + crashes.randint(1, 7)
        failures = len(stage.played.failures)
        world.asked = {}
        await stage.deliver()
        world.has_failed = bool(stage.played.failures)
        if stage.outcome is None or len(stage.played.failures) > failures:
            world.seen = {}  # what was lost, or is tried again, may go another way
        elif not getattr(stage.outcome, "goes_on", False):
            # else what was passed over may have been asked for ahead of what is held, and is
            # asked for after it the next time: nothing new begins after that
            world.seen = world.asked | world.seen
        if stage.has_ended:
            assert not world.problems, world.problems
            assert isinstance(stage.outcome, Completed), stage.played.failure
            sent = [(each.name, each.data) for each in stage.played.sent]
            return stage.played.result, Counter(sent)
        assert not world.problems, world.problems
        stage.pass_time()
    raise AssertionError("it does not end")


async def compare(nodes: tuple[Node, ...], crashes: random.Random) -> None:
    """
    Carry out a program in all ways.

    Raises:
        AssertionError: If they differ.
    """
    result, sent = await reference(nodes)
    ways: tuple[tuple[AfterStep, random.Random | None], ...] = (
        (AfterStep.COMMIT, None),
        (AfterStep.COMMIT, crashes),
        (AfterStep.SUSPEND, None),
        (AfterStep.GATHER, None),
    )
    for after_step, crashing in ways:
        got = await asyncio.wait_for(durable(nodes, after_step, crashing), 60)
        assert got[0] == result, (after_step, crashing is not None)
        assert got[1] == sent, (after_step, crashing is not None, got[1], sent)
