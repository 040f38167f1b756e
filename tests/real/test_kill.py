"""
What a user meets when processes are killed, disks fill up and files are wrong.

Real processes, `kill -9`, real files; nothing in here looks into the kit except the run file.
"""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.model.delivery import CheckpointKind
from kit.model.run import Run, RunStatus
from kit.store.sqlite.reader import Reader

HEAD = """
import asyncio, os, random
from pathlib import Path
from kit.client.definition import define_workflow

def note(line):
    with open("log", "a") as log:
        log.write(line + "\\n")

"""
PATIENCE = 60.0
"""Seconds until a test gives up waiting for what ought to take milliseconds."""


class Project:
    """A project on disk, and the command in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        self.started: list[subprocess.Popen[str]] = []
        (root / ".git").mkdir()
        (root / "functions/workflows").mkdir(parents=True)

    def workflow(self, name: str, text: str) -> None:
        (self.root / f"functions/workflows/{name}.py").write_text(HEAD + text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath},
        )
        self.started.append(process)
        return process

    def kit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start("-m", "kit.cli", *arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def killed(self, until: Callable[[], object], *arguments: str) -> None:
        """Start `kit`, and kill it once *until* says so."""
        process = self.start("-m", "kit.cli", *arguments)
        wait_for(until, process)
        kill(process)

    def checkpoints(self) -> int:
        """Return how many steps and sleeps are on disk: quickly, while others write."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            try:
                return connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
            except sqlite3.OperationalError:  # not made yet
                return 0

    def log(self) -> list[str]:
        file = self.root / "log"
        return file.read_text().splitlines() if file.exists() else []

    def run(self) -> Run:
        with contextlib.closing(Reader(self.path)) as reader:
            (run,) = reader.runs()
        return run

    def is_sound(self) -> bool:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def wait_for(until: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        if process.poll() is not None or time.monotonic() > deadline:
            kill(process)
            raise AssertionError(f"it did not come to that: {process.communicate()}")
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    for process in project.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


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
    await context.step.sleep("nap", 1.5)
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
    await asyncio.sleep(random.uniform(0, 0.15))
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
        driver = project.start("driver.py")
        assert driver.stdout
        assert driver.stdout.readline() == "ready\n", driver.communicate()
        if kills == KILLS:
            assert driver.communicate(timeout=60) == ("ended\n", "")
            break
        goal = project.checkpoints() + random.randint(12, 45)
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


def finished_steps(path: Path) -> list[str]:
    with contextlib.closing(Reader(path)) as reader:
        return [
            f"{run.id} {step_id}"
            for run in reader.runs()
            for step_id, checkpoint in reader.checkpoints(run.id).items()
            if checkpoint.kind is CheckpointKind.STEP
        ]


STAYS = """
@define_workflow
async def stays(input, context):
    await context.step.run("before", note, "before")
    await context.step.sleep("nap", "1 hour")
"""


def test_a_second_process_starts_looks_and_stops_while_a_first_one_drives(
    project: Project,
) -> None:
    project.workflow("stays", STAYS)
    project.workflow("echo", ECHO)
    first = project.start("-m", "kit.cli", "run", "stays")
    wait_for(lambda: "before" in project.log(), first)
    stays = project.run().id
    second = project.kit("run", "echo", "--data", '"abc"')
    assert (second.returncode, second.stdout) == (0, "3\n")
    assert stays in project.kit("runs").stdout
    stop = project.kit("runs", "stop", stays)
    assert re.search(f"asked process {first.pid}|is cancelled", stop.stderr)
    out, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1
    assert out == ""
    assert "was cancelled" in err
    assert "echo" not in err, "what it executed for the other is none of its output"


def test_ctrl_c_ends_a_sleeping_run_at_once_and_keeps_it(project: Project) -> None:
    project.workflow("stays", STAYS)
    process = project.start("-m", "kit.cli", "run", "stays")
    wait_for(lambda: "before" in project.log(), process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"Continue: kit runs resume {project.run().id}" in err
    assert "Traceback" not in err
    assert not project.run().status.is_final


INTERRUPTED = """
async def interrupts(at):
    if not Path("go").exists() and at == "PLACE":
        raise KeyboardInterrupt

@define_workflow
async def interrupted(input, context):
    await context.step.run("before", note, "before")
    await asyncio.gather(
        context.step.run("beside", note, "beside"), context.step.run("within", interrupts, "step")
    )
    await interrupts("handler")
    return "went"
"""


@pytest.mark.parametrize("place", ["step", "handler"])
def test_a_keyboard_interrupt_out_of_async_code_is_taken_for_ctrl_c_and_keeps_the_run(
    project: Project, place: str
) -> None:
    project.workflow("interrupted", INTERRUPTED.replace("PLACE", place))
    first = project.kit("run", "interrupted")
    assert first.returncode == 130
    assert "Traceback" not in first.stderr
    run = project.run()
    assert not run.status.is_final
    assert f"Continue: kit runs resume {run.id}" in first.stderr
    (project.root / "go").touch()
    assert project.kit("runs", "resume", run.id).stdout == '"went"\n'
    assert project.log().count("before") == 1


ECHO = "@define_workflow\ndef echo(input): return len(input)\n"


def test_a_mebibyte_of_input_is_nothing_special(project: Project) -> None:
    project.workflow("echo", ECHO)
    (project.root / "big.json").write_text(json.dumps("x" * 2**20))
    done = project.kit("run", "echo", "--data", "@big.json")
    assert (done.returncode, done.stdout) == (0, f"{2**20}\n")
    shown = project.kit("runs", "show", project.run().id).stdout
    assert len(shown) < 2000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("workflow:\n\tpath: x\n", "kit.yaml line 2.*tab"),
        ("workflow:\n  concurrency: many\n", "kit.yaml line 2.*concurrency.*whole number"),
        ("workflow:\n  conurrency: 5\n", "kit.yaml line 2.*Did you mean concurrency"),
    ],
)
def test_settings_that_are_wrong_say_where_and_how(project: Project, text: str, why: str) -> None:
    project.workflow("echo", ECHO)
    (project.root / "kit.yaml").write_text(text)
    for command in (["run", "echo"], ["runs"], ["runs", "resume"]):
        done = project.kit(*command)
        assert done.returncode == 1
        assert re.search(why, done.stderr, re.IGNORECASE)
        assert "Traceback" not in done.stderr
    assert not project.path.parent.exists()


def test_a_file_that_is_no_run_file_is_left_alone(project: Project) -> None:
    project.workflow("echo", ECHO)
    project.path.parent.mkdir()
    project.path.write_bytes(b"my only copy " * 1000)
    for command in (["run", "echo", "--data", '""'], ["runs"]):
        done = project.kit(*command)
        assert done.returncode == 1
        assert "is not a SQLite file" in done.stderr
        assert "Traceback" not in done.stderr
    assert project.path.read_bytes() == b"my only copy " * 1000


def test_a_file_of_another_program_is_left_alone(project: Project) -> None:
    project.workflow("echo", ECHO)
    project.path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(project.path)) as connection:
        connection.execute("CREATE TABLE precious (thing)")
    for command in (["run", "echo", "--data", '""'], ["runs"]):
        done = project.kit(*command)
        assert done.returncode == 1
        assert "is a SQLite file of another program" in done.stderr
    with contextlib.closing(sqlite3.connect(project.path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a memory disk at *folder*, and yield what remounts it with other options."""
    folder.mkdir(exist_ok=True)

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", *options, folder], capture_output=True).returncode == 0

    def remount(options: str) -> None:
        assert mount("-o", f"remount,{options}")

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    if not mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        pytest.skip("this machine does not allow mounting a small disk")
    try:
        yield remount
    finally:
        subprocess.run(["umount", folder], check=True)


FILLS = """
@define_workflow
async def fills(input, context):
    for n in range(30):
        await context.step.run(f"step-{n}", lambda n=n: note(str(n)) or str(n) * 10_000)
    return "full"
"""


def test_a_full_disk_says_so_and_loses_nothing(project: Project) -> None:
    project.workflow("fills", FILLS)
    with small_disk(project.path.parent, "400k") as remount:
        done = project.kit("run", "fills")
        assert done.returncode == 1
        assert "the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        before = list(finished_steps(project.path))
        assert before
        remount("size=20m")
        again = project.kit("runs", "resume", project.run().id)
        assert (again.returncode, again.stdout) == (0, '"full"\n')
        ran = Counter(project.log())
        assert all(ran[step.split("-")[-1]] == 1 for step in before)
        assert project.is_sound()


def test_a_disk_that_cannot_be_written_says_so_and_can_be_read(project: Project) -> None:
    project.workflow("echo", ECHO)
    with small_disk(project.path.parent, "4m") as remount:
        assert project.kit("run", "echo", "--data", '""').returncode == 0
        remount("ro")
        done = project.kit("run", "echo", "--data", '""')
        assert done.returncode == 1
        assert "read-only" in done.stderr
        assert "Traceback" not in done.stderr
        assert project.kit("runs").returncode == 0
        assert project.kit("runs", "result", project.run().id).stdout == "0\n"


def test_a_step_id_that_is_too_long_is_not_tried_twice(project: Project) -> None:
    text = "await context.step.run('x' * 10_000, note, 'ran')"
    project.workflow("long", f"@define_workflow\nasync def long(input, context):\n    {text}\n")
    done = project.kit("run", "long")
    assert done.returncode == 1
    assert "a step id of 10000 characters is too long: at most 255" in done.stderr
    assert len(done.stderr) < 3000
    assert project.log() == []
    assert project.run().attempt == 0


SWALLOWS = """
@define_workflow
async def swallows(input, context):
    for n in range(3):
        try:
            await context.step.sleep(f"nap-{n}", 0.01)
            await context.step.run(f"step-{n}", note, str(n))
        except BaseException:
            pass
    return "done"
"""


def test_a_handler_that_swallows_everything_still_comes_to_its_end(project: Project) -> None:
    project.workflow("swallows", SWALLOWS)
    done = project.kit("run", "swallows")
    assert (done.returncode, done.stdout) == (0, '"done"\n')
    assert project.log() == ["0", "1", "2"]


DIES = """
@define_workflow(max_retries=2, backoff=["10 ms"])
async def dies(input, context):
    await context.step.run("once", note, "once")
    def boom():
        note(f"attempt {context.attempt}")
        if not Path("mended").exists():
            raise LookupError("nothing there")
        return "mended"
    return await context.step.run("boom", boom)
"""


def test_what_always_fails_is_a_dead_letter_and_may_be_retried(project: Project) -> None:
    project.workflow("dies", DIES)
    assert project.kit("run", "dies").returncode == 1
    assert project.log() == ["once", "attempt 0", "attempt 1", "attempt 2"]
    (dead,) = json.loads(project.kit("runs", "--status", "failed", "--json").stdout)
    assert dead["error"]["message"] == "nothing there"
    shown = project.kit("runs", "show", dead["id"]).stdout
    assert shown.count("LookupError: nothing there") >= 3
    assert 'dies.py", line' in shown
    assert project.kit("runs", "retry", dead["id"]).returncode == 1
    (project.root / "mended").touch()
    done = project.kit("runs", "retry", dead["id"])
    assert (done.returncode, done.stdout) == (0, '"mended"\n')
    assert project.log().count("once") == 1
    assert project.log().count("attempt 0") == 3
