"""
Random programs of steps, and what they must come to however they are interrupted.

A program is a tree. It is carried out on a stage in several ways, and once without any durability;
all must give the same result and the same events, and no step that was kept may run again.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Awaitable
from typing import Any

from tests.support.program_trees import DAY, LIMIT, LOCKED, PARALLEL, RERAISED, SEQUENTIAL, Node
from tests.support.program_world import Boom, Other, World, short


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
            await self.step(context, f"{name}-{short(values[0])}")  # which came first
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
            await self.step(context, f"{name}-{len(values)}-{short(values[-1])}")
        return sorted(values, key=repr)
