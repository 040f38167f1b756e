"""
Processes that are killed anywhere: what was committed stays, and all comes to the right end.

A short one with every run of the tests; `KILLS=200` for a long one, which `KILL_SEED` varies.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.real.records.conftest import MakeSite
from tests.real.records.site import Site

KILLS = int(os.environ.get("KILLS", "6"))
AT_ONCE = 6
SEED = int(os.environ.get("KILL_SEED", "1"))
WRITES = 10
"""Writes of the record of a journey, from the first to the last."""


def blows(number: int, chance: random.Random) -> list[dict[str, Any]]:
    """
    Return when to kill in the run of this *number*: at a write, before it or after, at each in
    turn; or at any moment between two. Each third run is killed twice.
    """
    place = number // 3 % WRITES
    how = ("kill-before", "kill-after", "kill-later")[number % 3]
    first = {"do": how, "after": place, "ms": chance.uniform(0, 12)}
    if number % 3 != 1:
        return [first]
    return [first, {"do": "kill-later", "after": chance.randrange(5), "ms": chance.uniform(0, 12)}]


@pytest.mark.timeout(480 if KILLS == AT_ONCE else 1200)  # a long one may have company
@pytest.mark.parametrize("first", range(0, KILLS, AT_ONCE))
def test_a_process_that_is_killed_anywhere_costs_nothing_that_was_committed(
    make_site: MakeSite, first: int
):
    site = make_site("one")
    chance = random.Random(SEED + first)
    killed, numbers = 0, range(first, min(first + AT_ONCE, KILLS))
    for number in numbers:
        site.clear()
        planned = blows(number, chance)
        for blow in planned:
            site.rig.spoil(op="PUT", key="/runs/", **blow)
        name = f"run {number}"
        event_id = site.send("journey", {"name": name})
        committed = go_on(site, event_id)
        killed += site.rig.kills()

        run = site.show(event_id)
        told = (number, planned, run, site.noted())
        expected = {"steps": ["first", "a1a2", "b1b2", "last"], "caught": "as always"}
        assert (run["status"], run["result"]) == ("completed", expected), told
        noted = site.noted()
        for counted in committed:
            for step, count in counted.items():
                assert noted.count(step) == count, (step, *told)
        assert [each["status"] for each in site.list("?workflow=heard")] == ["completed"], told
    assert killed >= len(numbers) / 2  # the odd one comes when all is over


def go_on(site: Site, event_id: str) -> list[dict[str, int]]:
    """Go on until the run has ended; return how often what was committed had run, at each stop."""
    committed = []
    for _ in range(12):
        site.rig.free()
        status, run = site.look(f"/{event_id}")
        noted = site.noted()
        if status == 200:
            done = {step["id"] for step in run["steps"] if step["kind"] == "step"}
            committed.append({step: noted.count(step) for step in done})
            heard = [each["status"] for each in site.list("?workflow=heard")]
            if run["status"] == "completed" and set(heard) == {"completed"}:
                break
        site.rig.advance(1_300, at_once=True)  # what is being processed is given up after 20 min
        site.rig.tick(2)
    return committed
