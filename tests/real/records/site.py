"""A site whose workflows have records, on the real engine: how tests speak to it."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import jsonschema

from kit.deploy.bundle.entries import text_of
from kit.deploy.bundle.plan import WorkflowFacts, http_module, plan

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

HERE = Path(__file__).parent
PROJECT = HERE.parent / "recorded"
ROOT = HERE.parents[2]
RUNTIME = ROOT / "kit" / "deploy" / "function" / "runtime"
RUN_SCHEMA, PAGE_SCHEMA = (
    json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text()) for name in ("run", "runs")
)
RUNS = "/.netlify/functions/kit-runs"
FN = "kit-workflows-blobs"
RECORDS = "site:kit-runs/runs/"
STEPS = [f"s{number}" for number in range(10)]
API = PurePosixPath("endpoints")  # this checkout, which tests import from, has `functions/api`


def facts(name: str, **more: Any) -> WorkflowFacts:
    """Return what `kit build` finds out about a workflow of the project."""
    return WorkflowFacts(name, f"functions/workflows/{name}.py", store="blobs", **more)


NAMES = ("ten", "together", "long", "slow", "heard", "journey", "napping", "asking", "wide")
WORKFLOWS = [
    *(facts(name) for name in NAMES),
    facts("failing", max_retries=2, backoff=(1_000, 60_000)),
    facts("limited", timeout=5_000),
    facts("many", background=True),
]


def lay_out(
    folder: Path,
    link_packages: Callable[[Path], None],
    workflows: list[WorkflowFacts] = WORKFLOWS,
    project: Path = PROJECT,
) -> Path:
    """Write what `kit build` does, without an interpreter of its own; return the functions."""
    (folder / "functions").mkdir()
    link_packages(folder)
    modules = [http_module(API / f"{name}.py", API) for name in ("runs", "plainly")]
    for entry in plan(workflows, modules, "shared"):
        (folder / "functions" / entry.file).write_text(text_of(entry, "functions"))
    bundle = folder / ".kit" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "runtime").symlink_to(RUNTIME, target_is_directory=True)
    (bundle / "site").mkdir()  # this checkout has a folder `functions` of its own
    (bundle / "site" / "kit").symlink_to(ROOT / "kit", target_is_directory=True)
    manifest = {
        "python": sys.executable,
        "root": str(project),
        "paths": ["site"],
        "workflows": {each.name: each.path for each in workflows},
        "folder": "functions/workflows",
        "functions": {each.name: each.path for each in modules},
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return folder / "functions"


class Site:
    """The site: events go in, runs are asked for, time is put forward."""

    def __init__(self, rig: Rig, tally: Path) -> None:
        self.rig = rig
        self.tally = tally

    def clear(self) -> None:
        """Make it as it was at the start."""
        self.rig.reset()
        self.tally.unlink(missing_ok=True)

    def send(
        self, name: str, data: Any = None, *, event_id: str = "", times: int = 1, **more: Any
    ) -> str:
        """Send an event, so often at once; return its id as soon as it is acknowledged."""
        event_id = event_id or str(uuid.uuid4())
        event = {"eventName": name, "eventId": event_id, "data": data or {}, "eventChain": [name]}
        path = f'/.netlify/functions/async-workloads-router?events=["{name}"]'
        sent = [{**event, **more}] * times
        status, headers, _ = self.rig.ask("POST", path, sent, key=self.rig.key)
        assert (status, headers.get("x-awl-ack")) == (200, "ack")
        return event_id

    def rest(self) -> None:
        """Wait until nothing is under way."""
        self.rig.idle()

    def wake(self, seconds: float) -> None:
        """Put the clock forward, and do what is due then."""
        self.rig.advance(seconds)
        self.rig.settle()

    def run(self, name: str, data: Any = None, *, waits: tuple[float, ...] = ()) -> dict[str, Any]:
        """Send an event, go on after each wait, and return the run."""
        event_id = self.send(name, data)
        self.rest()
        for wait in waits:
            self.wake(wait)
        return self.show(event_id)

    def list(self, query: str) -> list[dict[str, Any]]:
        status, page = self.look(query)
        assert status == 200, page
        jsonschema.validate(page, PAGE_SCHEMA)
        found: list[dict[str, Any]] = page["runs"]
        return found

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Ask the runs API."""
        status, _, text = self.rig.ask(method, RUNS + path, body, key=self.rig.key, **more)
        return status, json.loads(text)

    def look(self, path: str) -> tuple[int, Any]:
        """Ask it for what a test only looks at, without a process for each answer."""
        return self.ask("GET", path, headers={"x-rig-here": "1"})

    def show(self, event_id: str) -> dict[str, Any]:
        status, run = self.look(f"/{event_id}")
        assert status == 200, run
        jsonschema.validate(run, RUN_SCHEMA)
        found: dict[str, Any] = run
        return found

    def noted(self) -> list[str]:
        """Return what the workflows have noted, whichever process did it."""
        return self.tally.read_text().splitlines() if self.tally.exists() else []

    def did(self) -> list[str]:
        """Return the steps that have run."""
        return [line for line in self.noted() if line != "invoked"]

    def invocations(self) -> int:
        return len(self.rig.log(FN))

    def writes(self) -> list[dict[str, Any]]:
        """Return the writes of records that were done."""
        log = self.rig.store_log()
        puts = [each for each in log if each["op"] == "PUT" and each["status"] == 200]
        return [each for each in puts if each["key"].startswith(RECORDS)]

    def alarms(self) -> int:
        """Return how many events wait."""
        return sum(len(events) for events in self.rig.events().values())

    def record(self, event_id: str) -> Any:
        """Return a run's record, as it is stored."""
        stored = {each["key"]: each["body"] for each in self.rig.blobs()["kit-runs"]}
        return stored[f"runs/{event_id}.json"]


def until(
    holds: Callable[[], bool], seconds: float = 200, told: Callable[[], Any] = lambda: ""
) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, told()
        time.sleep(0.01)
