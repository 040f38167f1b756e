"""Runs that `kit` has made: of workflows that end, nap, fail and catch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.stored import Stored

Kit = Callable[..., Any]

HEAD = "import asyncio, signal\nfrom pathlib import Path\nfrom kit import define_workflow\n"
ECHO = f"{HEAD}\n@define_workflow\ndef echo(input): return input\n"
GREET = f"""{HEAD}
from pydantic import BaseModel

class Guest(BaseModel):
    name: str
    age: int = 0

@define_workflow
async def greet(input: Guest, context):
    with open("calls", "a") as calls:
        print(input.name, file=calls)
    print("noise from the handler")
    await context.step.run("look", lambda: 1)
    await context.step.sleep("nap", "1 hour")
    return f"hello {{input.name}}"
"""
NAP = f"""{HEAD}
@define_workflow
async def nap(input, context):
    await context.step.run("before", lambda: "x" * 100)
    if not Path("go").exists():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
    await context.send_event("echo", 1)
    await context.step.sleep("nap", input)
    return "slept"
"""
FAILS = f"""{HEAD}
@define_workflow(max_retries=1, backoff=["3 seconds"])
async def fails(input, context):
    def fetch():
        with open("calls", "a") as calls:
            print("fetch", file=calls)
        return {{"n": 1}}
    def charge():
        if not Path("go").exists():
            raise ValueError("card declined")
        return "paid"
    await context.step.run("fetch", fetch)
    return await context.step.run("charge", charge)
"""
CAUGHT = f"""{HEAD}
@define_workflow
async def caught(input, context):
    def bad(): raise ValueError("as expected")
    try:
        await context.step.run("bad", bad)
    except ValueError:
        pass
    return await context.step.run("good", lambda: 1)
"""


def workflow(root: Path, name: str, text: str) -> None:
    (root / "functions/workflows" / f"{name}.py").write_text(text)


def interrupted(kit: Kit, path: Path, nap: str = '"1 hour"') -> str:
    """Begin a run and interrupt it; return its id."""
    assert kit("run", "nap", "--data", nap).status == 130
    (path.parent.parent / "go").touch()
    (run,) = Stored(path).unfinished()
    return run.id


def failed(kit: Kit, path: Path) -> str:
    assert kit("run", "fails", "--fast").status == 1
    return Stored(path).runs()[0].id


def kit_json(path: Path, run_id: str) -> Any:
    from kit.cli.screen.ending import run_json

    reader = Stored(path)
    return run_json(reader, reader.get(run_id))


WORKFLOWS = {"echo": ECHO, "nap": NAP, "fails": FAILS, "caught": CAUGHT}
