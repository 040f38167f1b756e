"""What a user meets when a disk fills up or cannot be written."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.kill.project import ECHO, Project, finished_steps


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
