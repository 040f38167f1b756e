"""What is measured of deployed functions: a project, built, zipped and unpacked as on Netlify."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

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
    "functions/workflows/ten_recorded.py": """
from kit import Context, define_workflow

@define_workflow(store="blobs")
async def ten_recorded(input: dict, context: Context) -> int:
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

    def boot(self, name: str, *, freeze: bool = False) -> Any:
        """Start a function in its sandbox."""
        env = {"AWL_API_KEY": "rig-key"}
        return boot.Booted(self.tasks[name], self.jail, env=env, freeze=freeze)

    def rig(self, *names: str) -> tuple[Any, dict[str, Any]]:
        """
        Start an engine that has these functions in their sandboxes, frozen between invocations;
        return it, and them.
        """
        booted = {each: self.stack.enter_context(self.boot(each, freeze=True)) for each in names}
        entries = {self.project / "functions" / f"{n}.mjs": b.url for n, b in booted.items()}
        rig = boot.make_rig(self.folder / f"rig-{names[0]}", entries)
        return self.stack.enter_context(rig), booted

    def plain_rig(self) -> Any:
        """
        Start an engine with the plain workload, its process ended after every invocation.

        In a process that goes on, or is frozen and thawed, code goes on after its step, too: the
        library's own workloads then repeat steps, and here events without end.
        """
        folder = self.folder / "plain"
        boot.give_packages(folder)
        (folder / "js-workflows.mjs").write_text(JAVASCRIPT["js-workflows.mjs"])
        return self.stack.enter_context(boot.open_rig(folder, process="one", after="kill"))
