"""
Deployed functions: cold and warm, the kit's against plain JavaScript, and a run on the real engine.

    python benchmarks/functions.py [--json] [--boots 15] [--warm 200]

Everything is as it would be deployed: built by `kit build`, zipped by Netlify's own bundler,
unpacked read-only, started through Netlify's generated entry in a root without Python
(tests/real/boot). The functions take turns, boot by boot, so that whatever else the machine does
hits all alike: trust ratios of one run more than figures of two. *cold* is from the start of the
process until the first answer is out, *CPU* what its processes had of the processor by then, *warm*
what an invocation takes after that; all measured inside.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WORKFLOW_BUDGET, HTTP_BUDGET = 1.25, 1.6  # cold, of what plain JavaScript takes
WARM_BUDGET = 1.0  # ms
ZIP_BUDGET = 15_000_000

PYTHON = {
    "functions/api/hello.py": """
def get(request):
    return {"hello": request.query_params["name"]}
""",
    "functions/api/bare.py": """
async def app(scope, receive, send):
    body = b'{"hello":"world"}'
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
""",
    "functions/workflows/hello.py": """
from kit import Context, define_workflow

@define_workflow
async def hello(input: dict, context: Context) -> dict:
    return {"hello": input["name"]}
""",
    "functions/workflows/ten.py": """
from kit import Context, define_workflow

@define_workflow
async def ten(input: dict, context: Context) -> int:
    return sum([await context.step.run(f"step-{i}", lambda i=i: i) for i in range(10)])
""",
    "functions/workflows/ten_gathered.py": """
from kit import Context, define_workflow

@define_workflow(checkpoints="gather")
async def ten_gathered(input: dict, context: Context) -> int:
    return sum([await context.step.run(f"step-{i}", lambda i=i: i) for i in range(10)])
""",
}
JAVASCRIPT = {
    "js-http.mjs": """
export default (request) => Response.json({ hello: new URL(request.url).searchParams.get("name") });

export const config = { path: "/api/js-hello" };
""",
    "js-workflows.mjs": """
import { asyncWorkloadFn } from "@netlify/async-workloads";

const handlers = {
  "js-hello": ({ eventData }) => ({ hello: eventData.name }),
  "js-publish": async ({ eventData, step }) => {
    await step.run("keep-title", () => eventData.title.trim());
  },
  "js-ten": async ({ step }) => {
    for (let i = 0; i < 10; i += 1) await step.run(`step-${i}`, () => i);
  },
};

export default asyncWorkloadFn((event) => handlers[event.eventName](event));

export const asyncWorkloadConfig = { events: ["js-hello", "js-publish", "js-ten"] };
""",
}


def load_boot() -> Any:
    """Import the tests' way to start functions; tests are no package."""
    file = ROOT / "tests" / "real" / "boot" / "__init__.py"
    spec = importlib.util.spec_from_file_location("boot", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["boot"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


boot = load_boot()


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
            env = {"AWL_API_KEY": "rig-key"}
            booted = boot.Booted(stand.tasks[each.function], stand.jail, env=env)
            started.append(stack.enter_context(booted))
            each.cold.append(each.call(booted).up)
            each.cpu.append(booted.cpu_ms())
        took: list[list[float]] = [[] for _ in group]
        for _ in range(warm):
            for each, booted, times in zip(group, started, took, strict=True):
                times.append(each.call(booted).took)
        for each, booted, times in zip(group, started, took, strict=True):
            each.warm.append(statistics.median(times[warm // 4 :]))
            each.memory.append(booted.memory())


class Stand:
    """Projects built, zipped and unpacked; an engine beside them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.env = boot.cpython_downloads(folder)
        self.zips: dict[str, int] = {}
        self.tasks: dict[str, Path] = {}
        self.jail = boot.Jail(folder)
        self.pure = self._project("pure", {})
        self._zip("kit init", self.pure, [self.pure / "functions" / "kit-workflows.mjs"])
        self.project = self._project("site", PYTHON)
        functions = self.project / "functions"
        for name, text in JAVASCRIPT.items():
            (functions / name).write_text(text)
        self._zip("", self.project, sorted(functions.glob("*.mjs")))

    def _project(self, name: str, files: dict[str, str]) -> Path:
        project = boot.init(self.folder / name)
        for path, text in files.items():
            (project / path).parent.mkdir(exist_ok=True)
            (project / path).write_text(text)
        boot.build(project, self.env)
        return project

    def _zip(self, name: str, project: Path, files: list[Path]) -> None:
        for found, path in boot.zip_functions(project, project / "zips", files).items():
            self.zips[name or found] = path.stat().st_size
            self.tasks[name or found] = boot.unpack(path, self.folder / "tasks" / (name or found))

    def rig(self) -> Any:
        """Start an engine that has the kit's workflows in their sandbox."""
        env = {"AWL_API_KEY": "rig-key"}
        booted = boot.Booted(self.tasks["kit-workflows"], self.jail, env=env, freeze=True)
        url = self.stack.enter_context(booted).url
        entry = self.project / "functions" / "kit-workflows.mjs"
        return self.stack.enter_context(boot.make_rig(self.folder / "rig", {entry: url}))

    def plain_rig(self) -> Any:
        """
        Start an engine with the plain workload, its process ended after every invocation.

        In a process that goes on, code goes on after its step, too, and runs steps again and again.
        """
        folder = self.folder / "plain"
        boot.give_packages(folder)
        (folder / "js-workflows.mjs").write_text(JAVASCRIPT["js-workflows.mjs"])
        return self.stack.enter_context(boot.open_rig(folder, process="one", after="kill"))


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


def run_on_engine(rig: Any, name: str, function: str, rounds: int = 5) -> dict[str, Any]:
    """Run a workflow on the engine until it is over; the scheduler ticks without waiting."""
    times = []
    boot.send(rig, name, {"name": "world"})  # the sandbox is warm from here on
    rig.settle()
    before = len(rig.log(function))
    for _ in range(rounds):
        begun = time.perf_counter()
        boot.send(rig, name, {"name": "world"})
        rig.settle()
        times.append((time.perf_counter() - begun) * 1000)
    invocations = (len(rig.log(function)) - before) / rounds
    left = sum(len(each) for each in rig.events().values())
    return {"invocations": invocations, "ms": round(statistics.median(times), 1), "left": left}


def measure(boots: int, warm: int) -> dict[str, Any]:
    """Build, boot in turns, run; return all figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="functions-")))
        stand = Stand(folder, stack)
        rig = stand.rig()
        engine = {
            "plain JavaScript, a process each": run_on_engine(
                stand.plain_rig(), "js-ten", "js-workflows", 1
            ),
            "kit": run_on_engine(rig, "ten", "kit-workflows"),
            "kit, gathered": run_on_engine(rig, "ten-gathered", "kit-workflows"),
        }
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
        return {
            "isolated": stand.jail.is_isolated,
            "boots": boots,
            "functions": {each.name: figures(each, field) for each in field},
            "zips": stand.zips,
            "tenSteps": engine,
        }


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
    for name, each in found["tenSteps"].items():
        print(f"ten steps, {name:34}{each['invocations']:>7g} invocations{each['ms']:>9} ms")
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
