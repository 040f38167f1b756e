"""The project of `tests/deploy/function` as a site on the real engine: how tests speak to it."""

from __future__ import annotations

import json
import string
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.project import importing
from kit.project.discovery import discover
from tests.real.rig.rig import Rig, link_packages

ROOT = Path(__file__).parents[3]
PROJECT = ROOT / "tests" / "deploy" / "function" / "project"
RUNTIME = ROOT / "kit" / "deploy" / "function" / "runtime"
WAYS = [("in-process", "run"), ("one", "run"), ("one", "freeze"), ("one", "end"), ("one", "kill")]


class Site:
    """A site with the workflows of the project, on the real engine."""

    def __init__(self, rig: Rig, tally: Path) -> None:
        self.rig = rig
        self.tally = tally
        self._began = time.monotonic()

    def clear(self) -> None:
        """Make it as it was at the start."""
        self.rig.reset()
        self.tally.unlink(missing_ok=True)
        self._began = time.monotonic()

    def send(self, name: str, data: Any = None) -> str:
        """Send an event, and wait until what it starts is over; return its id."""
        (event_id,) = self.send_all(name, [data or {}])
        return event_id

    def send_all(self, name: str, datas: list[dict[str, Any]]) -> list[str]:
        events = [
            {"eventName": name, "eventId": str(uuid.uuid4()), "data": data, "eventChain": [name]}
            for data in datas
        ]
        path = f'/.netlify/functions/async-workloads-router?events=["{name}"]'
        status, headers, _ = self.rig.ask("POST", path, events, key=self.rig.key)
        assert (status, headers.get("x-awl-ack")) == (200, "ack")
        self.rig.idle()
        return [event["eventId"] for event in events]

    def run(self, name: str, data: Any = None, *, waits: tuple[float, ...] = ()) -> list[str]:
        """Send an event, go on after each wait, and return what the workflow has noted."""
        self.send(name, data)
        self.rig.settle()
        for wait in waits:
            self.rig.advance(wait)
            self.rig.settle()
        return self.noted()

    def noted(self) -> list[str]:
        return self.tally.read_text().splitlines() if self.tally.exists() else []

    def invocations(self, name: str) -> int:
        return len(self.rig.log(name))

    def due(self, *seconds: int) -> bool:
        """
        Tell whether waiting events are due so many seconds after what they wait for was decided.

        Storing it takes a moment, of which there is only known that it was no longer than all that
        was done for this test.
        """
        waiting = [each["body"] for each in self.rig.events()["pending"]]
        lags = [
            wanted - (each["delayUntilTime"] - each["enqueuedTime"]) / 1000
            for wanted, each in zip(seconds, waiting, strict=True)
        ]
        return all(-0.5 < lag < 0.5 + time.monotonic() - self._began for lag in lags)

    def dead(self) -> int:
        return len(self.rig.events()["dead-lettered"])


def write_entries(folder: Path) -> None:
    """Write what `kit build` writes: an entry for each workflow, and the manifest."""
    functions = folder / "functions"
    functions.mkdir()
    link_packages(functions)
    found = discover(PROJECT / "functions" / "workflows", root=PROJECT)
    importing.forget()
    assert not found.errors
    template = string.Template((RUNTIME / "entry-workflow.mjs.txt").read_text())
    for name, workflow in found.workflows.items():
        waits = [round(each.total_seconds() * 1000) for each in workflow.retry.schedule()]
        text = template.substitute(
            SOURCE=found.paths[name],
            RUNTIME=RUNTIME,
            EVENTS=json.dumps([name]),
            MAX_RETRIES=workflow.retry.max_retries,
            BACKOFF=json.dumps(waits),
            INCLUDED="[]",
        )
        (functions / f"{name}.mjs").write_text(text)
    template = string.Template((RUNTIME / "entry-http.mjs.txt").read_text())
    text = template.substitute(
        SOURCE="functions/api/starting.py",
        RUNTIME=RUNTIME,
        NAME='"starting"',
        PATH='"/api/starting"',
        INCLUDED="[]",
    )
    (functions / "starting.mjs").write_text(text)
    bundle = folder / ".kit" / "bundle"
    bundle.mkdir(parents=True)
    manifest = {
        "python": sys.executable,
        "root": str(PROJECT),
        "paths": [str(ROOT)],
        "workflows": dict(found.paths),
        "folder": "functions/workflows",
        "functions": {"starting": "functions/api/starting.py"},
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))


MakeSite = Callable[..., Site]
