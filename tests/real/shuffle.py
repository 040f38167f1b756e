"""
Runs the fast part of the tests in random orders on busy cores, and says of each order its seed, its
time and how it ended.

    python tests/real/shuffle.py 20                                 # or: make shuffle N=20
    python -m pytest --ignore=tests/real --randomly-seed=SEED     # one of those orders again

Besides the tests, as many processes as there are cores do nothing but count; and two orders run at
a time, each in one process, so that its seed brings back just that order. So a test has half a
core, and gets it in slices; an order takes two to four minutes, and twenty of them half an hour.
Where something else keeps the machine busy already, `--busy 0` leaves that to it.

Exit status 1 if any run failed. What a failed one printed is kept, and its file named.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 1800
"""Seconds one order may take before it counts as hung, and is ended."""

BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


@contextlib.contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep *number* processes busy meanwhile; they end with this one, whatever becomes of it."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(seed: int, folder: Path, options: list[str]) -> bool:
    """Run the tests in the order of *seed*; say what came of it, and tell whether all is well."""
    output = folder / f"{seed}.txt"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--randomly-seed={seed}"]
    began = time.monotonic()
    with output.open("w") as file:
        try:
            status = subprocess.run(
                [*command, *options], cwd=ROOT, stdout=file, stderr=file, timeout=LIMIT
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    last = (output.read_text(errors="replace").splitlines() or [""])[-1].strip("= ")
    ended = last if status != -1 else f"hung after: {last}"
    print(f"seed {seed:>10}  {time.monotonic() - began:6.1f} s  {ended}", flush=True)
    if status:
        print(f"  see {output}", flush=True)
    return not status


def main() -> int:
    """Read the arguments, and run."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("number", type=int, nargs="?", default=20, help="how many orders")
    cores = os.cpu_count() or 2
    parser.add_argument("--busy", type=int, default=cores, help="processes that keep cores busy")
    parser.add_argument("--at-once", type=int, default=2, help="orders that run at a time")
    parser.add_argument("--seed", type=int, help="the first one's; the others follow from it")
    own, options = parser.parse_known_args()
    seeds = random.Random(own.seed)
    folder = Path(tempfile.mkdtemp(prefix="shuffle-"))
    options = options or ["--ignore=tests/real"]
    with busy(own.busy), ThreadPoolExecutor(own.at_once) as pool:
        orders = [seeds.randrange(2**32) for _ in range(own.number)]
        well = list(pool.map(lambda seed: run(seed, folder, options), orders))
    print(f"{sum(well)} of {len(well)} orders passed, with {own.busy} busy processes beside them")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
