"""
How long imports take, over a bare interpreter: the median of several processes each.

    python benchmarks/imports.py [--times 15] [--peers] [--json]

With --peers, the imports of other packages are measured that happen to be installed here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from typing import Any

KIT = {
    "import kit": "import kit",
    "from kit import define_workflow, run_workflow": (
        "from kit import define_workflow, run_workflow"
    ),
    "import kit.project.config": "import kit.project.config",
}
PEERS = ("pydantic", "httpx", "pydantic_settings", "dbos", "restate", "chalice", "inngest")
BUDGET_MS = 30
"""DESIGN.md §12: `import kit` over a bare interpreter."""


def process_ms(code: str) -> float:
    """Return how long an interpreter takes to start, run *code* and end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def measure(statements: dict[str, str], times: int) -> dict[str, float]:
    """Return the milliseconds of each statement over those of none, taken in turns."""
    codes = {"": "pass", **statements}
    for code in codes.values():
        process_ms(code)  # writes the byte code
    took: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(times):
        for name, code in codes.items():
            took[name].append(process_ms(code))
    bare = statistics.median(took.pop(""))
    return {name: statistics.median(each) - bare for name, each in took.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--times", type=int, default=15, help="processes for each figure")
    parser.add_argument("--peers", action="store_true", help="measure other packages too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    statements = dict(KIT)
    if asked.peers:
        here = [name for name in PEERS if importlib.util.find_spec(name)]
        statements |= {f"import {name}": f"import {name}" for name in here}
    found = measure(statements, asked.times)
    ok = found["import kit"] <= BUDGET_MS
    if asked.json:
        result: dict[str, Any] = {
            "figures": found,
            "budgets": {"import kit": {"budget": f"at most {BUDGET_MS}", "ok": ok}},
        }
        print(json.dumps(result, indent=2))
        return
    for name, milliseconds in found.items():
        print(f"{name.ljust(50)} {milliseconds:8.1f} ms")
    print(f"{'ok' if ok else 'missed'}: import kit in at most {BUDGET_MS} ms")


if __name__ == "__main__":
    main()
