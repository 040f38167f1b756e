"""
How long it takes until a program can begin: the median of several processes, in turns. What counts
is processor time, which is what importing takes, and which a busy machine changes least.

    python benchmarks/imports.py [--times 15] [--peers] [--json]

Over a bare interpreter: importing the kit, importing what defines and starts workflows, a program
that only sends (up to the moment it would send), the Python process of a deployed function, and the
command, which has no budget. Below stands what these cannot do without.
With --peers, the imports of other packages are measured that happen to be installed here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SENDING = """
import os, httpx
from kit.sync import run_workflow
async def would_send(*_): os._exit(0)
httpx.AsyncHTTPTransport.handle_async_request = would_send
run_workflow("publish-draft", {"title": "Ship weekly digest"})
"""
DEFINING = "from kit import define_workflow, run_workflow"
CHILD = "import kit.deploy.function.child"
COMMAND = "import sys; sys.argv = {!r}; from kit.cli.__main__ import main; main()"
TYPING = "import typer; from pydantic import TypeAdapter"
PROGRAMS = {
    "import kit": "import kit",
    DEFINING: DEFINING,
    "a program that only sends": SENDING,
    CHILD: CHILD,
    "kit --version": COMMAND.format(["kit", "--version"]),
    "kit --help": COMMAND.format(["kit", "--help"]),
    "kit runs --json": COMMAND.format(["kit", "runs", "--local", "--json"]),
    # what those above cannot do without
    "import asyncio": "import asyncio",
    "import asyncio, httpx, pydantic": "import asyncio, httpx, pydantic",
    TYPING: TYPING,
}
BUDGETS_MS = {DEFINING: 40.0}
"""DESIGN.md §12, over a bare interpreter."""

BUDGETS_RATIO = {
    "a program that only sends": ("import asyncio, httpx, pydantic", 1.6),
    CHILD: ("import asyncio", 2.0),
}
"""At most so many times what the other one takes: digits drift with the machine, these do not."""

PEERS = ("pydantic", "httpx", "pydantic_settings", "dbos", "restate", "chalice", "inngest")


def process_ms(code: str, folder: str) -> float:
    """Return what an interpreter takes to start, run *code* in an empty *folder*, and end."""
    environ = {
        **os.environ,
        "WORKFLOW_BASE_URL": "http://127.0.0.1:9",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": f"{folder}.pyc",  # what is measured finds its byte code there
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, cwd=folder, env=environ
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, code)
    return (used.ru_utime + used.ru_stime) * 1000


def measure(programs: dict[str, str], times: int) -> tuple[float, dict[str, float]]:
    """Return a bare interpreter's milliseconds, and those each program takes over them."""
    codes = {"": "pass", **programs}
    took: dict[str, list[float]] = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as temporary:
        folder = f"{temporary}/empty"
        Path(folder).mkdir()
        for code in codes.values():
            process_ms(code, folder)  # writes the byte code
        for _ in range(times):
            for name, code in codes.items():
                took[name].append(process_ms(code, folder))
    bare = statistics.median(took.pop(""))
    return bare, {name: statistics.median(each) - bare for name, each in took.items()}


def judge(found: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Return each budget, what was measured of it, and whether it holds."""
    budgets = {
        name: {"budget": f"at most {most:g} ms", "is": round(found[name], 1)}
        for name, most in BUDGETS_MS.items()
    }
    verdicts = {name: found[name] <= most for name, most in BUDGETS_MS.items()}
    for name, (other, most) in BUDGETS_RATIO.items():
        ratio = found[name] / found[other]
        budgets[name] = {"budget": f"at most {most:g} of {other!r}", "is": round(ratio, 2)}
        verdicts[name] = ratio <= most
    return {name: {**budget, "ok": verdicts[name]} for name, budget in budgets.items()}


def main() -> None:
    """Measure and print; the exit status is 1 if a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--times", type=int, default=15, help="processes for each figure")
    parser.add_argument("--peers", action="store_true", help="measure other packages too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    programs = dict(PROGRAMS)
    if asked.peers:
        here = [name for name in PEERS if importlib.util.find_spec(name)]
        programs |= {f"import {name}": f"import {name}" for name in here}
    bare, found = measure(programs, asked.times)
    budgets = judge(found)
    if asked.json:
        print(json.dumps({"bare": bare, "figures": found, "budgets": budgets}, indent=2))
        return
    print(f"{'a bare interpreter'.ljust(50)} {bare:8.1f} ms")
    for name, milliseconds in found.items():
        times = (bare + milliseconds) / bare
        print(f"{name.ljust(50)} {milliseconds:+8.1f} ms  {times:5.2f} times a bare one")
    for name, budget in budgets.items():
        print(f"{'ok' if budget['ok'] else 'missed'}: {name}: {budget['is']}, {budget['budget']}")


if __name__ == "__main__":
    main()
