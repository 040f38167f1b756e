"""
A process that is cut off at any moment.

What is on disk just before the n-th COMMIT is what a process killed there leaves behind. So a run
is carried on from copies of its file, each made in the middle of the life before, until its end.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.engine.engine import Engine
from kit.model.event import Event, derived_id
from kit.model.run import RunStatus
from kit.model.workflow import Workflow
from kit.store.sqlite.reader import Reader
from tests.support.examples import examples

from .conftest import FakeClock

RUN = derived_id("crash")
PARTS = st.lists(st.sampled_from(["step", "sleep", "pair", "flaky", "send"]), max_size=6)
CUTS = st.lists(st.integers(1, 12), max_size=4)


async def carry_out(part: str, name: str, context: Any, step: Any) -> list[str]:
    if part == "step":
        return [await context.step.run(name, step, name)]
    if part == "pair":
        pair = (f"{name}{side}" for side in "ab")
        return await asyncio.gather(*(context.step.run(e, step, e) for e in pair))
    if part == "sleep":
        await context.step.sleep(name, 60)
    elif part == "send":
        await context.send_event("heard", name)
    elif not context.attempt:
        raise LookupError(name)
    return []


def workflow_of(parts: list[str], ran: Counter[str]) -> Workflow[..., Any]:
    """Return a workflow that does *parts* in order, and counts the steps that ran."""

    def step(step_id: str) -> str:
        ran[step_id] += 1
        return step_id

    async def handler(input: Any, context: Any) -> list[str]:
        done: list[str] = []
        for number, part in enumerate(parts):
            done += await carry_out(part, f"{part}-{number}", context, step)
        return done

    return Workflow(handler, name="flow")


async def live(path: Path, image: Path | None, cut: int, parts: list[str], replay: Any) -> Any:
    """
    Carry the run at *path* on to its end, and return it with the steps that ran.

    Just before the *cut*-th COMMIT its files are copied to *image*, as a kill leaves them.
    """
    ran: Counter[str] = Counter()
    heard: list[Any] = []
    workflows = {
        "flow": workflow_of(parts, ran),
        "heard": Workflow(lambda input: heard.append(input), name="heard"),
    }
    commits = count(1)

    def watch(statement: str) -> None:
        if image is not None and statement == "COMMIT" and next(commits) == cut:
            for each in path.parent.glob("runs.db*"):
                if not each.name.endswith("-lease"):
                    shutil.copy(each, image / each.name)

    clock = FakeClock()
    async with Engine(
        path, workflows.get, clock=clock, durability="normal", replay=replay
    ) as engine:
        engine._store._writer._connection._sqlite.set_trace_callback(watch)
        run = await engine.submit(Event("flow", None, RUN))
        while not run.status.is_final:
            await engine.idle()
            due = clock.next_due()
            clock.advance((due or clock.time) - clock.time)
            run = engine.get(RUN)
        await engine.idle()
        statuses = {each.status for each in engine._store.reader.runs()}
        assert statuses == {RunStatus.COMPLETED}
    return run, ran, heard


@settings(max_examples=examples(60))
@given(parts=PARTS, cuts=CUTS, replay=st.sampled_from(["pauses", "always"]))
def test_however_often_it_is_cut_off_a_run_completes_and_no_stored_step_runs_again(
    parts: list[str], cuts: list[int], replay: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        stored: set[str] = set()
        results = set()
        for number, cut in enumerate([*cuts, 0]):
            image = Path(folder) / f"life{number}"
            image.mkdir()
            run, ran, heard = asyncio.run(live(path, image, cut, parts, replay))
            results.add(run.result)
            assert run.status is RunStatus.COMPLETED
            assert not stored & set(ran), "a step that was stored ran again"
            assert set(ran.values()) <= {1}, "a step ran twice without a crash between"
            assert len(heard) == len(set(heard))
            if not (image / "runs.db").exists():
                continue
            path = image / "runs.db"
            reader = Reader(path)
            stored = {e for e in reader.checkpoints(RUN) if not e.startswith("kit:")}
            reader.close()
        assert len(results) == 1
