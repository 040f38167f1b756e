"""What Linux tells of processes: their children, memory and processor time."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(each) for each in (task / "children").read_text().split()]
    return [each for child in found for each in (child, *children_of(child))]


def memory_of(pid: int) -> int:
    """Return how many bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def cpu_of(pid: int) -> int:
    """Return how long the threads of a process have had a processor, in ns."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files)
