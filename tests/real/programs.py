"""
Carry out many random programs, and say which came to something else than they should.

    python tests/real/programs.py [--count 5000] [--seed 0] [--depth 3]

Each is carried out with commits, with commits and crashes, suspended after each step, and gathered;
and compared with a run without durability. See `tests/support/programs.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.comparing import compare
from tests.support.program_trees import some


def main() -> int:
    """Carry them out; return how many went wrong, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=int, default=3)
    given = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # exceptions nobody retrieves
    began, bad = time.monotonic(), 0
    for seed in range(given.seed, given.seed + given.count):
        generator = random.Random(seed)
        try:
            asyncio.run(compare(some(generator, given.depth), generator))
        except (AssertionError, TimeoutError) as error:
            bad += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:500]}", flush=True)  # noqa: T201
    seconds = time.monotonic() - began
    print(f"{given.count} programs, {bad} went wrong, {seconds:.0f} s")  # noqa: T201
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
