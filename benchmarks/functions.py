"""
Deployed functions: cold and warm, the kit's against plain JavaScript, and a run on the real engine.

    python benchmarks/functions.py [--json] [--boots 15] [--warm 200]
    python benchmarks/functions.py --boots 0     # only ten steps on the engine (ticks.py)

Everything is as it would be deployed: built by `kit build`, zipped by Netlify's own bundler,
unpacked read-only, started through Netlify's generated entry in a root without Python
(tests/real/boot). The functions take turns, boot by boot, so that whatever else the machine does
hits all alike: trust ratios of one run more than figures of two. *cold* is from the start of the
process until the first answer is out, *CPU* what its processes had of the processor by then, *warm*
what an invocation takes after that; all measured inside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ticks
from deployed import Stand, boot

WORKFLOW_BUDGET, HTTP_BUDGET = 1.25, 1.6  # cold, of what plain JavaScript takes
WARM_BUDGET = 1.0  # ms
ZIP_BUDGET = 15_000_000


@dataclass
class Contestant:
    """A function that is measured: how it is invoked, and against which it counts."""

    name: str
    function: str
    invoke: Callable[[Any], Any]
    against: str | None = None
    cold_budget: float | None = None

    def __post_init__(self) -> None:
        self.cold: list[float] = []
        self.warm: list[float] = []
        self.memory: list[int] = []
        self.cpu: list[float] = []

    def call(self, booted: Any) -> Any:
        """Invoke it; a failure ends the benchmark."""
        answer = self.invoke(booted)
        if answer.error or answer.status != 200:
            message = f"{self.name} failed: {answer.status} {answer.error}\n{booted.log}"
            raise RuntimeError(message)
        return answer


def take_turns(group: list[Contestant], stand: Stand, warm: int) -> None:
    """
    Boot each of a group, note its first invocation, and then one of each in turn.

    What the machine's disk or a neighbour does to an invocation, it so does to all of the group.
    """
    with ExitStack() as stack:
        started = []
        for each in group:
            booted = stack.enter_context(stand.boot(each.function))
            started.append(booted)
            each.cold.append(each.call(booted).up)
            each.cpu.append(booted.cpu_ms())
        took: list[list[float]] = [[] for _ in group]
        for _ in range(warm):
            for each, booted, times in zip(group, started, took, strict=True):
                times.append(each.call(booted).took)
        for each, booted, times in zip(group, started, took, strict=True):
            each.warm.append(statistics.median(times[warm // 4 :]))
            each.memory.append(booted.memory())


def contestants(blobs: dict[str, str]) -> list[Contestant]:
    """Return who takes part."""

    def get(path: str) -> Callable[[Any], Any]:
        return lambda booted: booted.invoke("GET", f"{path}?name=world")

    def deliver(url: str, event: str, data: Any) -> Callable[[Any], Any]:
        path = f'/.netlify/functions/{url}?events=["{event}"]'
        headers = {"authorization": "Bearer rig-key", "content-type": "application/json"}
        return lambda booted: booted.invoke(
            "POST", path, headers, boot.delivery(event, data), blobs=blobs
        )

    http, workflow = "HTTP, plain JavaScript", "workflow, plain JavaScript"
    step = "a step, plain JavaScript"
    name = {"name": "world"}
    return [
        Contestant(http, "js-http", get("/api/js-hello")),
        Contestant("HTTP, kit", "kit-api-hello", get("/api/hello"), http, HTTP_BUDGET),
        Contestant("HTTP, kit, bare ASGI", "kit-api-bare", get("/api/bare"), http),
        Contestant(workflow, "js-workflows", deliver("js-workflows", "js-hello", name)),
        Contestant(
            "workflow, kit",
            "kit-workflows",
            deliver("kit-workflows", "hello", name),
            workflow,
            WORKFLOW_BUDGET,
        ),
        Contestant(step, "js-workflows", deliver("js-workflows", "js-publish", {"title": "x"})),
        Contestant(
            "kit init's, pydantic and a step",
            "kit init",
            deliver("kit-workflows", "publish-draft", {"title": "x"}),
            step,
        ),
    ]


def measure(boots: int, warm: int) -> dict[str, Any]:
    """Build, boot in turns, run; return all figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="functions-")))
        stand = Stand(folder, stack)
        return {
            "isolated": stand.jail.is_isolated,
            "boots": boots,
            "functions": boot_in_turns(stand, boots, warm) if boots else {},
            "zips": stand.zips,
            "tenSteps": ticks.measure(stand),
        }


def boot_in_turns(stand: Stand, boots: int, warm: int) -> dict[str, Any]:
    """Return the figures of all, booted so often."""
    rig, _ = stand.rig("kit-workflows")
    field = contestants(boot.blobs_of(rig))
    rivals = [each for each in field if each.against is None]
    groups = [[r, *(each for each in field if each.against == r.name)] for r in rivals]
    for group in groups:  # once before it counts: files get into the page cache
        take_turns(group, stand, 4)
    for each in field:
        for noted in (each.cold, each.cpu, each.warm, each.memory):
            noted.clear()
    for _ in range(boots):
        for group in groups:
            take_turns(group, stand, warm)
    return {each.name: figures(each, field) for each in field}


def figures(each: Contestant, field: list[Contestant]) -> dict[str, Any]:
    """Return the medians of a contestant, and how it stands to its rival."""
    rival = next((other for other in field if other.name == each.against), None)
    cold, warm = statistics.median(each.cold), statistics.median(each.warm)
    told = {
        "coldMs": round(cold, 1),
        "coldCpuMs": round(statistics.median(each.cpu), 1),
        "warmMs": round(warm, 2),
        "memoryMB": round(statistics.median(each.memory) / 1e6, 1),
    }
    if rival is None:
        return told
    # boots side by side are compared, so that a slow minute counts for both
    ratio = statistics.median(mine / its for mine, its in zip(each.cold, rival.cold, strict=True))
    more = statistics.median(mine - its for mine, its in zip(each.warm, rival.warm, strict=True))
    told |= {"coldRatio": round(ratio, 2), "warmMoreMs": round(more, 2)}
    if each.cold_budget is not None:
        told |= {"coldBudget": each.cold_budget, "coldOk": ratio <= each.cold_budget}
        told |= {"warmOk": more <= WARM_BUDGET}
    return told


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{'':34}{'cold':>10}{'':>8}{'of CPU':>10}{'warm':>11}{'':>11}{'memory':>10}")
    for name, each in found["functions"].items():
        ratio = f"x{each['coldRatio']}" if "coldRatio" in each else ""
        more = f"{each['warmMoreMs']:+} ms" if "warmMoreMs" in each else ""
        cold = f"{each['coldMs']:>7} ms{ratio:>8}{each['coldCpuMs']:>7} ms"
        print(f"{name:34}{cold}{each['warmMs']:>8} ms{more:>11}{each['memoryMB']:>7} MB")
    print()
    for name, size in found["zips"].items():
        print(f"zip of {name:27}{size / 1e6:>7.1f} MB")
    print()
    ticks.show(found["tenSteps"])
    print()
    for name, each in found["functions"].items():
        if "coldOk" in each:
            ratio, budget = f"x{each['coldRatio']}", f"x{each['coldBudget']}"
            verdict(f"{name}, cold", ratio, budget, each["coldOk"])
            verdict(f"{name}, warm", f"{each['warmMoreMs']:+} ms", "+1 ms", each["warmOk"])
    size = found["zips"]["kit init"]
    verdict("zip, kit init", f"{size / 1e6:.1f} MB", "15 MB", size <= ZIP_BUDGET)
    if not found["isolated"]:
        print(f"not walled in: {boot.why_not_isolated()}")


def verdict(what: str, got: str, budget: str, is_ok: bool) -> None:
    """Print how one budget is kept."""
    print(f"{'ok    ' if is_ok else 'missed'} {what:28}{got:>10}  (budget {budget})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--boots", type=int, default=15, help="cold starts of each function")
    parser.add_argument("--warm", type=int, default=100, help="invocations after each")
    options = parser.parse_args()
    found = measure(options.boots, options.warm)
    print(json.dumps(found, indent=1)) if options.json else show(found)


if __name__ == "__main__":
    main()
