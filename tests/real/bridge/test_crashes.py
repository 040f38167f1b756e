"""Python as it crashes, does not end, and is kept warm, under the real library and engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.boot.engine import delivery
from tests.real.bridge.site import MakeSite, Site


@pytest.mark.parametrize(("how", "says"), [("exit", "exit status 3"), ("segfault", "SIGSEGV")])
def test_a_crash_fails_the_attempt_and_the_next_one_has_a_new_python(
    site: Site, how: str, says: str
):
    noted = site.run("crashing", {"how": how}, waits=(6,))

    assert noted == ["kept", "crashed", "crashed", "ended"]
    output = site.rig.output()
    assert "the workflow crashing: Python ended" in output
    assert says in output
    assert "about to crash" in output
    assert how == "exit" or "Segmentation fault" in output


def test_what_does_not_end_in_time_fails_with_the_limit_named(hurried: Site):
    site = hurried
    hows = ["waits", "blocks", "thread"]

    site.send_all("stubborn", [{"how": how} for how in hows])  # each in a process of its own

    assert site.due(5, 5, 5)
    site.rig.advance(6)
    site.rig.settle()
    assert sorted(site.noted()) == sorted(hows * 2)
    output = site.rig.output()
    assert output.count("the limit of its function") == 3
    assert output.count("and did not stop when asked to") == 1  # what blocked the loop
    assert "background=True" in output


def _status(pid: int) -> tuple[int, int]:
    """Return how many kB a process holds, and how many descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def _deliver(site: Site, numbers: range) -> None:
    """Deliver an event for each number, one after the other, as the router would."""
    path = '/.netlify/functions/many?events=["many"]'
    for number in numbers:
        body = json.loads(delivery("many", {"number": number}))
        status, _, _ = site.rig.ask("POST", path, body, key=site.rig.key)
        assert status == 200
        site.rig.free()


def _send(site: Site, numbers: range, crash: Callable[[int], bool]) -> None:
    """Send an event for each number, one after the other; some crash Python at their first try."""
    path = '/.netlify/functions/async-workloads-router?events=["many"]'
    for number in numbers:
        data = {"number": number, "crash": crash(number)}
        event = {"eventName": "many", "eventId": str(uuid.uuid4()), "data": data}
        site.rig.ask("POST", path, [event], key=site.rig.key)
        site.rig.free()


def test_a_warm_function_holds_nothing_after_hundreds_of_invocations_and_ten_crashes(
    make_site: MakeSite,
):
    site = make_site("one")
    _deliver(site, range(100))
    (worker,) = site.rig.workers()
    (python,) = _children(worker["pid"])
    before = [_status(pid) for pid in (worker["pid"], python)]

    _deliver(site, range(100, 300))

    after = [_status(pid) for pid in (worker["pid"], python)]
    assert _children(worker["pid"]) == [python]
    assert after[1][0] - before[1][0] < 1_000  # kB
    assert after[1][1] == before[1][1]
    assert after[0][1] <= before[0][1] + 2

    _send(site, range(300, 400), crash=lambda number: number % 10 == 5)
    assert len(_children(worker["pid"])) <= 1
    site.rig.advance(2)
    site.rig.settle()

    numbers = sorted(int(line.split()[0]) for line in site.noted())
    assert numbers == list(range(400))
    assert len({line.split()[2] for line in site.noted()}) > 10
    assert len(_children(worker["pid"])) == 1
    assert _status(worker["pid"])[1] <= before[0][1] + 2
    assert site.dead() == 0
