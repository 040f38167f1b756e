"""The three checkpointers are one program: the same result, and the same steps carried out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.execution.context import Context
from kit.model.delivery import AfterStep, Completed, Failed, Suspended

if TYPE_CHECKING:
    from conftest import Deliver


class Boom(Exception):
    pass


@dataclass
class World:
    """Where the steps of one run leave their traces."""

    done: list[str] = field(default_factory=list)
    tried: dict[str, int] = field(default_factory=dict)

    async def act(self, name: str, failures: int, turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.tried[name] = self.tried.get(name, 0) + 1
        if self.tried[name] <= failures:
            raise Boom(f"{name} failed")
        self.done.append(name)
        return name.upper()


Node = tuple[Any, ...]

leaves = (
    st.tuples(st.just("act"), st.sampled_from([0, 0, 0, 1, 9]), st.integers(0, 4))
    | st.tuples(st.just("sleep"))
    | st.tuples(st.just("send"))
)
programs = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.sampled_from(["sequence", "catch", "parallel", "collect", "nest", "fail"]),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=7,
)


def parts(node: Node) -> list[Node]:
    inner = node[1] if len(node) == 2 else ()
    return [node, *(part for each in inner for part in parts(each))]


def depends_on_timing(program: Node) -> bool:
    """
    Tell whether a failure is collected beside a sleep and raised after it.

    Whether the sleep begins before the step that fails is then up to the checkpointer, and
    with it whether the failure is remembered when the handler raises it.
    """
    for node in parts(program):
        if node[0] == "parallel":
            kinds = {
                part[0] if part[0] != "act" or part[1] == 0 else "fail" for part in parts(node)
            }
            if {"sleep", "fail"} <= kinds:
                return True
    return False


class Interpreter:
    """Carries out a program as a handler would; names its parts by their place."""

    def __init__(self, context: Context, world: World) -> None:
        self.context = context
        self.step = context.step
        self.world = world

    async def visit(self, node: Node, path: str, within: bool = False) -> Any:
        return await getattr(self, node[0])(node, path, within)

    async def sequence(self, node: Node, path: str, within: bool) -> list[Any]:
        return [await self.visit(each, f"{path}.{i}", within) for i, each in enumerate(node[1])]

    async def catch(self, node: Node, path: str, within: bool) -> Any:
        try:
            return await self.sequence(node, path, within)
        except Exception as error:  # noqa: BLE001
            return f"caught {type(error).__name__}: {error}"

    async def parallel(self, node: Node, path: str, within: bool) -> list[Any]:
        found = await self.collect(node, path, within)
        for each in found:
            if str(each).startswith("collected "):
                raise Boom(each)
        return found

    async def collect(self, node: Node, path: str, within: bool) -> list[Any]:
        found = await asyncio.gather(
            *(self.visit(each, f"{path}.{i}", within) for i, each in enumerate(node[1])),
            return_exceptions=True,
        )
        return [f"collected {x}" if isinstance(x, Exception) else x for x in found]

    async def nest(self, node: Node, path: str, within: bool) -> Any:
        async def outer() -> Any:
            return await self.sequence(node, path, True)

        return await self.step.run(f"nest{path}", outer)

    async def fail(self, node: Node, path: str, within: bool) -> None:
        await self.sequence(node, path, within)
        raise Boom(f"raised at {path}")

    async def act(self, node: Node, path: str, within: bool) -> Any:
        return await self.step.run(f"s{path}", self.world.act, f"s{path}", node[1], node[2])

    async def sleep(self, node: Node, path: str, within: bool) -> None:
        if not within:
            await self.step.sleep(f"z{path}", 60)

    async def send(self, node: Node, path: str, within: bool) -> str:
        return await self.context.send_event(f"e{path}")


async def finish(deliver: Deliver, program: Node, after: AfterStep) -> tuple[Any, World, set[str]]:
    world, sent = World(), set()

    async def handler(input: Any, context: Context) -> Any:
        return await Interpreter(context, world).visit(program, "")

    known: dict[str, Any] = {}
    attempt = 0
    for _ in range(200):
        stage = await deliver(handler, known, after=after, attempt=attempt)
        known = stage.checkpoints
        sent |= {event.id for event in stage.sent}
        outcome = stage.outcome
        if isinstance(outcome, Completed):
            return json.loads(outcome.result), world, sent
        if isinstance(outcome, Failed):
            if outcome.retry_in is None:
                return (outcome.failure.type, outcome.failure.message), world, sent
            attempt += 1
        else:
            assert isinstance(outcome, Suspended)
    raise AssertionError("the run does not end")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(program=programs.filter(lambda program: not depends_on_timing(program)))
def test_all_three_give_the_same_result_and_do_the_same(program: Node, deliver: Deliver) -> None:
    async def all_three() -> list[Any]:
        return [await finish(deliver, program, after) for after in AfterStep]

    (result, world, sent), *others = asyncio.run(all_three())
    for other_result, other_world, other_sent in others:
        assert other_result == result
        assert sorted(other_world.done) == sorted(world.done)
        assert len(set(other_world.done)) == len(other_world.done)  # none was carried out twice
        assert other_world.tried == world.tried
        assert other_sent == sent


@pytest.mark.parametrize("after", list(AfterStep))
async def test_a_long_program_is_carried_out_once(deliver: Deliver, after: AfterStep) -> None:
    steps = tuple(("act", 0, i % 3) for i in range(10))
    program = ("sequence", (*steps, ("sleep",), ("parallel", steps), ("nest", steps)))
    result, world, _ = await finish(deliver, program, after)
    assert len(result) == 13
    assert len(world.done) == 30
    assert set(world.tried.values()) == {1}
