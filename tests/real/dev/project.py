"""A project for `kit dev`, and what its tests do with its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kit import WorkflowClient
from tests.support.kit_dev import KitDev

FAST = {"WORKFLOW_DURABILITY": "normal"}
WORKFLOW = """
from itertools import count
from pathlib import Path
from kit import define_workflow
from words import GREETING

@define_workflow(max_retries=0)
async def hello(input, context):
    kept = await context.step.run("keep", lambda: GREETING)
    if input == "fail":
        raise ValueError("no more")
    if input == "wait":  # however long the test takes until it says so
        for number in count():
            if await context.step.run(f"look {number}", Path("go").exists):
                break
            await context.step.sleep(f"nap {number}", 0.2)
    return [kept, GREETING]
"""
BLOCKING = """
import time
from pathlib import Path
from kit import define_workflow

@define_workflow
async def blocking(input, context):
    Path("blocks").touch()
    time.sleep(600)
"""


def make_project(root: Path) -> Path:
    for each in (root / ".git", root / "functions/workflows"):
        each.mkdir(parents=True)
    (root / "functions/workflows/hello.py").write_text(WORKFLOW)
    (root / "words.py").write_text("GREETING = 'old'\n")
    return root


def begin(dev: KitDev, data: Any = None, name: str = "hello") -> str:
    """Start a run, and return its id."""
    with WorkflowClient(dev.url) as client:
        return client.run_workflow(name, data).id


def wait(dev: KitDev) -> str:
    """Start a run that sleeps, again and again, until it is let `go`; return its id."""
    run_id = begin(dev, "wait")
    dev.when(run_id, lambda run: run["status"] == "sleeping")
    return run_id


def go(dev: KitDev) -> None:
    """Let the run that sleeps come to its end."""
    (dev.root / "go").touch()
