"""
What a user meets when processes are killed.

Real processes, `kill -9`, real files; nothing in here looks into the kit except the run file.
"""

import contextlib
import random
import time
from collections import Counter

from kit.model.run import RunStatus
from kit.store.sqlite.reader import Reader
from tests.real.kill.project import Project, finished_steps, kill, wait_for

THREE = """
async def second():
    note("second")
    if Path("log").read_text().count("second") == 1:
        await asyncio.sleep(60)

@define_workflow
async def three(input, context):
    await context.step.run("first", note, "first")
    await context.step.run("second", second)
    await context.step.run("third", note, "third")
    return "done"
"""


def test_killed_in_a_step_only_that_step_runs_again(project: Project) -> None:
    project.workflow("three", THREE)
    project.killed(lambda: "second" in project.log(), "run", "three")
    assert project.run().status is RunStatus.RUNNING
    done = project.kit("runs", "resume", project.run().id)
    assert (done.returncode, done.stdout) == (0, '"done"\n')
    assert project.log() == ["first", "second", "second", "third"]
    assert project.run().status is RunStatus.COMPLETED
    assert project.is_sound()


NAP = """
@define_workflow
async def nap(input, context):
    await context.step.run("before", note, "before")
    await context.step.sleep("nap", 4)
    await context.step.run("after", note, "after")
"""


def test_killed_while_sleeping_it_wakes_when_it_would_have(project: Project) -> None:
    project.workflow("nap", NAP)

    def sleeps() -> bool:
        with contextlib.closing(Reader(project.path)) as reader:
            return [run.status for run in reader.runs()] == [RunStatus.SLEEPING]

    project.killed(sleeps, "run", "nap")
    due = project.run().due
    done = project.kit("runs", "resume")
    assert done.returncode == 0
    assert "1 completed" in done.stderr
    assert project.log() == ["before", "after"]
    with contextlib.closing(Reader(project.path)) as reader:
        assert reader.checkpoints(project.run().id)["nap"].ended == due
    assert due <= (project.run().ended or 0)


DRIVER = """
import asyncio, sys
from pathlib import Path
from kit.engine.engine import Engine
from kit.model.event import Event, derived_id
from kit.project.catalog import Catalog
from kit.project.config import load

async def main():
    config = load()
    async with Engine(config.path, Catalog.of(config).find, concurrency=40) as engine:
        ids = [derived_id("run", str(n)) for n in range(200)]
        print("ready", flush=True)
        await asyncio.gather(*(engine.submit(Event("walk", n, id)) for n, id in enumerate(ids)))
        await asyncio.gather(*map(engine.wait, ids))
    print("ended", flush=True)

asyncio.run(main())
"""
WALK = """
async def step(name):
    fd = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (name + "\\n").encode())
    os.close(fd)
    number = Path("log").read_bytes().count(b"\\n")
    await asyncio.sleep(random.uniform(0, 0.15))
    while number > int(Path("most").read_text()):
        await asyncio.sleep(0.01)  # until it is killed
    return name

@define_workflow
async def walk(input, context):
    at = f"{context.event_id} "
    await context.step.run("a", step, at + "a")
    await asyncio.gather(*(context.step.run(n, step, at + n) for n in ("b", "c")))
    await context.step.sleep("nap", random.uniform(0.001, 0.1))
    for n in ("d", "e", "f"):
        await context.step.run(n, step, at + n)
    return input
"""
KILLS = 20


def test_two_hundred_runs_survive_kills_at_random_moments(project: Project) -> None:
    project.workflow("walk", WALK)
    (project.root / "driver.py").write_text(DRIVER)
    stored: dict[str, int] = {}  # how often a step had run when its checkpoint was seen
    kills = unfinished = 0
    while True:
        count = random.randint(12, 45) if kills < KILLS else 10_000
        # however late the kill comes on a busy machine, there is something left for the next ones
        (project.root / "most").write_text(str(len(project.log()) + count + 12))
        # as it is before the driver begins, or else it may be out of reach
        goal = count + (project.checkpoints() if kills else 0)
        driver = project.start("driver.py")
        assert driver.stdout
        assert driver.stdout.readline() == "ready\n", driver.communicate()
        if kills == KILLS:
            assert driver.communicate(timeout=200) == ("ended\n", "")
            break
        wait_for(lambda goal=goal: project.checkpoints() >= goal, driver)
        time.sleep(random.uniform(0, 0.01))  # into whatever it does next
        kill(driver)
        kills += 1
        ran = Counter(project.log())
        for step in finished_steps(project.path):
            assert stored.setdefault(step, ran[step]) == ran[step], f"{step} was repeated"
        with contextlib.closing(Reader(project.path)) as reader:
            unfinished += bool(reader.unfinished())
    ran = Counter(project.log())
    assert {step: ran[step] for step in stored} == stored
    with contextlib.closing(Reader(project.path)) as reader:
        runs = reader.runs()
    assert len(runs) == 200
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    assert sorted(int(run.result or -1) for run in runs) == list(range(200))
    assert len(ran) == 200 * 6
    assert sum(ran.values()) > len(ran)  # some were cut short, else this test tests nothing
    assert len(stored) > 200
    assert unfinished >= KILLS // 2, "the runs ended before the kills did"
    assert project.is_sound()
