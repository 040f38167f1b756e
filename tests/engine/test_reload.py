"""Runs in flight while their workflows are replaced."""

import asyncio
from pathlib import Path
from typing import Any

from kit.engine.engine import Engine
from kit.model.workflow import Workflow

from .conftest import FakeClock, Gate, event, flow, turns


class Shelf:
    """Workflows by name, which a test may replace."""

    def __init__(self, *workflows: Workflow[..., Any]) -> None:
        self.by_name = {each.event_name: each for each in workflows}

    def put(self, workflow: Workflow[..., Any]) -> None:
        self.by_name[workflow.event_name] = workflow

    def find(self, name: str) -> Workflow[..., Any] | None:
        return self.by_name.get(name)


async def ended(engine: Engine, run_id: str) -> Any:
    return await asyncio.wait_for(engine.wait(run_id), 50)


async def test_a_sleeping_run_wakes_in_the_new_code(path: Path, clock: FakeClock) -> None:
    def version(text: str) -> Workflow[..., Any]:
        async def handler(input: Any, context: Any) -> Any:
            first = await context.step.run("first", lambda: text)
            await context.step.sleep("nap", "1 minute")
            return [first, text]

        return flow(handler)

    shelf = Shelf(version("old"))
    async with Engine(path, shelf.find, clock=clock, durability="normal") as engine:
        run = await engine.submit(event())
        await asyncio.wait_for(engine.idle(), 50)
        shelf.put(version("new"))
        await engine.reload()
        clock.advance(60_000)
        assert (await ended(engine, run.id)).result == '["old","new"]'


async def test_a_running_one_goes_over_at_its_next_step(path: Path, clock: FakeClock) -> None:
    gate, calls = Gate(), list[str]()

    def version(text: str) -> Workflow[..., Any]:
        async def handler(input: Any, context: Any) -> Any:
            await context.step.run("slow", gate.come)
            calls.append(text)
            return await context.step.run("second", lambda: text)

        return flow(handler)

    shelf = Shelf(version("old"))
    async with Engine(path, shelf.find, clock=clock, durability="normal") as engine:
        run = await engine.submit(event())
        await gate.somebody()
        shelf.put(version("new"))
        await engine.reload()
        gate.open()
        assert (await ended(engine, run.id)).result == '"new"'
        assert gate.entered == 1
        assert calls == ["old", "new"]


async def test_one_whose_workflow_stays_is_not_interrupted(path: Path, clock: FakeClock) -> None:
    gate, starts = Gate(), list[int]()

    async def handler(input: Any, context: Any) -> Any:
        starts.append(1)
        await context.step.run("slow", gate.come)
        return await context.step.run("second", lambda: 2)

    shelf = Shelf(flow(handler))
    async with Engine(path, shelf.find, clock=clock, durability="normal") as engine:
        run = await engine.submit(event())
        await gate.somebody()
        await engine.reload()
        gate.open()
        assert (await ended(engine, run.id)).result == "2"
        assert starts == [1]


async def test_a_run_whose_workflow_comes_back_is_taken_up(path: Path, clock: FakeClock) -> None:
    async def handler(input: Any) -> Any:
        return "here"

    shelf = Shelf(flow(handler))
    async with Engine(path, shelf.find, clock=clock, durability="normal") as engine:
        later = event(due=clock.now() + 1000)
        await engine.submit(later)
    shelf.by_name.clear()
    async with Engine(path, shelf.find, clock=clock, durability="normal") as engine:
        clock.advance(2000)
        await turns()
        shelf.put(flow(handler))
        await engine.reload()
        assert (await ended(engine, later.id)).result == '"here"'
