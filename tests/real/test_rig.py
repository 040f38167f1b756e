"""The rig itself: functions in processes that are frozen, ended and killed, and what it serves."""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

ROUTER_PATH = "/.netlify/functions/async-workloads-router"
FIRST, NAP, SECOND = "first", "awl:sleep:nap", "second"
IN_TURN = [[], [FIRST], [FIRST, NAP], [FIRST, NAP, SECOND]]
"""What the library remembers at each invocation, when nothing runs on after a step."""


def send(rig: Rig, name: str, data: Any = None) -> str:
    event_id = str(uuid.uuid4())
    body = [{"eventName": name, "eventId": event_id, "data": data}]
    status, headers, _ = rig.ask("POST", ROUTER_PATH, body, key=rig.key)
    assert (status, headers["x-awl-ack"]) == (200, "ack")
    return event_id


def go_on(rig: Rig) -> None:
    """Let a run with a sleep of two hours come to its end."""
    for _ in range(2):
        rig.settle()
        rig.advance(7300)
    rig.settle()


def test_a_process_that_ends_in_place_runs_each_step_once(make_rig: type[Rig]):
    with make_rig(process="one", after="end") as rig:
        send(rig, "rig.steps")
        go_on(rig)

        assert [each["steps"] for each in rig.seen()] == IN_TURN
        assert len({each["pid"] for each in rig.log("steps")}) == len(IN_TURN)
        assert rig.workers() == []


def test_a_process_that_is_killed_serves_nothing_more(make_rig: type[Rig]):
    """It may get some way past a step before: in the library, that repeats steps."""
    with make_rig(process="one", after="kill") as rig:
        send(rig, "rig.steps")
        go_on(rig)

        processes = [each["pid"] for each in rig.log("steps")]
        memos = [each["steps"] for each in rig.seen()]
        assert len(set(processes)) == len(processes)
        assert all(memo in memos for memo in IN_TURN)
        assert rig.workers() == []


def test_a_frozen_process_serves_the_next_invocation(make_rig: type[Rig]):
    with make_rig(process="one", after="freeze") as rig:
        ids = []
        for _ in range(3):
            ids.append(send(rig, "rig.record"))
            rig.idle()
            assert [each["frozen"] for each in rig.workers()] == [True]

        assert [each["eventId"] for each in rig.seen()] == ids
        assert len({each["pid"] for each in rig.log("recorder")}) == 1


def test_a_process_left_running_goes_on_after_a_step(make_rig: type[Rig]):
    """Which is why the kit's own functions stop by themselves."""
    with make_rig(process="one", after="run") as rig:
        send(rig, "rig.steps")

        rig.idle()
        assert [each["steps"] for each in rig.seen()] == [[]]
        assert len(rig.seen("second")) == 1


def test_a_busy_process_is_joined_by_another(make_rig: type[Rig]):
    with make_rig(process="one") as rig:
        rig.answers(fn="recorder", status=500)
        send(rig, "rig.record")  # refused: the router stores it to be tried again
        rig.idle()
        ids = {each["body"]["eventId"] for each in rig.events()["pending"]}
        body = [{"eventName": "rig.record", "eventId": str(uuid.uuid4())} for _ in range(2)]
        rig.ask("POST", ROUTER_PATH, body, key=rig.key)
        rig.advance(10)
        rig.settle()

        assert {each["eventId"] for each in rig.seen()} == ids | {e["eventId"] for e in body}
        assert len(rig.workers()) == 2


def test_workers_do_not_outlive_a_rig_that_is_killed(make_rig: type[Rig]):
    with make_rig(process="one", after="freeze") as rig:
        send(rig, "rig.record")
        rig.idle()
        (worker,) = rig.workers()
        port = urlsplit(worker["address"]).port
        socket.create_connection(("127.0.0.1", port), timeout=50).close()  # frozen, and there
        rig.process.kill()
        rig.process.wait(timeout=100)

        limit = time.monotonic() + 100
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=50).close()
            except OSError:
                break
            time.sleep(0.01)
        else:
            pytest.fail("the worker is still there")


def test_a_plain_function_is_served_at_its_path(rig: Rig):
    assert json.loads(rig.ask("GET", "/hello/you")[2]) == {"name": "you", "method": "GET"}
    assert rig.ask("GET", "/.netlify/functions/hello")[0] == 404


@pytest.mark.parametrize(
    ("key", "status", "reason"),
    [("rig-key", 400, "body contained no valid"), ("other", 401, "invalid API key")],
)
def test_the_router_is_the_real_one(rig: Rig, key: str, status: int, reason: str):
    """As recorded from it: an early answer is empty, with its cause in a header."""
    got, headers, text = rig.ask("POST", ROUTER_PATH, [{}], key=key)

    assert (got, text) == (status, "")
    assert reason in headers["x-awl-reason"]
    assert headers["cache-control"] == "max-age=0,must-revalidate"
