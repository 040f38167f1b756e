"""
Ten steps on the real engine, whose scheduler looks once a minute, as on Netlify. The minutes are
virtual, all else is real: Netlify's library and engine, its zip, the frozen sandbox, the requests
to a store on loopback.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deployed import Stand, boot

MINUTE = 60
MOST = 40
"""Minutes that a run may take before something is wrong."""

KIT = {
    "kit, store: awl": ("kit-workflows", "ten"),
    "kit, store: awl, gathered": ("kit-workflows", "ten-gathered"),
    "kit, store: blobs": ("kit-workflows-blobs", "ten-recorded"),
}


def measure(stand: Stand, rounds: int = 3) -> dict[str, dict[str, float]]:
    """Return the figures of each, the means of some runs, one after another."""
    plain = stand.plain_rig()
    took = partial(cpu_of_ended, plain.pid)
    found = {"plain JavaScript": mean(plain, took, "js-workflows", "js-ten", rounds)}
    rig, booted = stand.rig("kit-workflows", "kit-workflows-blobs")
    for name, (function, workflow) in KIT.items():
        found[name] = mean(rig, booted[function].cpu_ms, function, workflow, rounds)
    return found


def mean(
    rig: Any, took: Callable[[], float], function: str, workflow: str, rounds: int
) -> dict[str, float]:
    """Return the means of some runs, after one that warms the sandbox."""
    runs = [run(rig, took, function, workflow) for _ in range(rounds + 1)][1:]
    return {key: round(sum(each[key] for each in runs) / rounds, 1) for key in runs[0]}


def run(rig: Any, took: Callable[[], float], function: str, workflow: str) -> dict[str, float]:
    """
    Send an event, let the scheduler look once a minute, and count until nothing is left.

    *took* tells how long the function's processes have had a processor so far, in ms.
    """
    before, asked, cpu = len(rig.log(function)), counted(rig), took()
    of_records = counted(rig, "kit-runs")
    minutes, own = 0, 0
    boot.send(rig, workflow, {})
    while True:
        rig.idle()
        known = counted(rig)
        is_over = not any(rig.events().values())
        own += counted(rig) - known  # what the benchmark has asked for itself
        if is_over:
            break
        minutes += 1
        if minutes > MOST:
            message = f"{workflow} does not come to an end: {rig.events()}"
            raise RuntimeError(message)
        rig.advance(MINUTE)
        rig.tick()
    return {
        "invocations": len(rig.log(function)) - before,
        "minutes": minutes,
        "requests": counted(rig) - asked - own,
        "ofRecords": counted(rig, "kit-runs") - of_records,
        "cpuMs": took() - cpu,
    }


def cpu_of_ended(pid: int) -> float:
    """Return how long the ended children of a process have had a processor, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK") * 1000


def counted(rig: Any, store: str = "") -> int:
    """
    Return how many requests to Netlify Blobs there were: reads, writes and deletions. Lists are the
    scheduler's, which makes them every minute whether there is a run or not.
    """
    return sum(store in each["key"] and each["op"] != "LIST" for each in rig.store_log())


def show(found: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    head = ("invocations", "minutes", "requests", "of records", "CPU")
    print(f"{'ten steps, a tick a minute':34}" + "".join(f"{each:>13}" for each in head))
    for name, each in found.items():
        cells = (each["invocations"], each["minutes"], each["requests"], each["ofRecords"])
        print(f"{name:34}" + "".join(f"{cell:>13g}" for cell in cells) + f"{each['cpuMs']:>10g} ms")
