"""
What takes real seconds: long steps that are stopped or run out of time, a store that is away, a run
that is longer than its function.

All of it happens side by side, before the first test, each of which looks at one. How soon
something was heard is told by the order of requests to the store, not by this machine's clock.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.real.records.conftest import MakeSite
from tests.real.records.site import FN, RECORDS, STEPS, until

ENDS = [f"{letter} ended" for letter in "abcdef"]


class Slow:
    """Runs that take long, by name, once all have come as far as they do by themselves."""

    def __init__(self, make: MakeSite) -> None:
        self.site = make("one")
        self.short = {
            "kept": make(AWL_SERVERLESS_TIMEOUT="11"),
            "lost": make(AWL_SERVERLESS_TIMEOUT="11"),
        }
        self.ids: dict[str, str] = {}

    def go(self) -> None:
        """Begin everything, do to it what is to be done, and wait."""
        away = str(uuid.uuid4())
        self.site.rig.spoil("refused", op="PUT", key=f"/runs/{away}", after=4, span=10_000)
        self.ids["away"] = self.site.send("ten", event_id=away)
        self.short["lost"].rig.answers(fn=FN, skip=1)  # the event that was to send it on
        for name, site in self.short.items():
            self.ids[name] = site.send("slow")
        for how in ("waits", "blocks"):
            self.ids[how] = self.site.send("long", {"how": how})
        for how in ("waits", "sleeps"):
            self.ids[f"limited {how}"] = self.site.send("limited", {"how": how})
        self.stop("waits")
        self.stop("blocks")
        for site in (self.site, *self.short.values()):
            site.rest()

    def stop(self, name: str) -> None:
        run = self.ids[name]
        until(lambda: f"{run} began" in self.site.noted(), told=self.site.rig.output)
        assert self.site.ask("POST", f"/{run}/stop")[0] == 200

    def go_on(self, name: str) -> None:
        """Let time pass until the run has ended, and what was to wake it up is gone."""
        site = self.short.get(name, self.site)
        for _ in range(20):
            if self.show(name)["status"] in ("completed", "failed"):
                break
            site.wake(61)

    def requests(self, name: str) -> list[tuple[str, int]]:
        """Return the requests about a run's record, in order: what, and how it was answered."""
        key = f"{RECORDS}{self.ids[name]}.json"
        log = self.site.rig.store_log()
        return [(each["op"], each["status"]) for each in log if each["key"] == key]

    def show(self, name: str) -> dict[str, Any]:
        return self.short.get(name, self.site).show(self.ids[name])

    def noted(self, name: str) -> list[str]:
        run = self.ids[name]
        return [line.removeprefix(f"{run} ") for line in self.site.noted() if line.startswith(run)]


@pytest.fixture(scope="module")
def slow(start_site: MakeSite) -> Slow:
    slow = Slow(start_site)
    slow.go()
    return slow


TAKEN = [("GET", 404), ("PUT", 200)]
STOPPED = [("GET", 200), ("PUT", 200)]
LOOKED = [("GET", 200)]
ENDED = [("PUT", 200)]


def test_a_stop_is_heard_by_the_first_look_in_a_long_step_that_waits(slow: Slow):
    requests = slow.requests("waits")  # a look is at most three seconds away: see durable.test.mjs

    run = slow.show("waits")
    assert (run["status"], slow.noted("waits")) == ("cancelled", ["began"])
    before = len(requests) - len([*STOPPED, *LOOKED, *ENDED])
    assert requests[before:] == [*STOPPED, *LOOKED, *ENDED]


def test_a_stop_is_heard_after_a_step_that_cannot_be_interrupted(slow: Slow):
    run = slow.show("blocks")

    assert run["status"] == "cancelled"
    assert "next" not in slow.noted("blocks")


def test_a_timeout_is_kept_to_in_a_long_step(slow: Slow):
    requests = slow.requests("limited waits")

    run = slow.show("limited waits")
    assert (run["status"], run["error"]["code"]) == ("failed", "RUN_TIMED_OUT")
    assert slow.noted("limited waits") in (["began"], [])  # none where all else took so long
    # its five seconds are over before the second look, which would be after six
    assert requests in ([*TAKEN, *LOOKED, *ENDED], [*TAKEN, *ENDED])


def test_a_timeout_is_kept_to_in_a_sleep(slow: Slow):
    assert slow.show("limited sleeps")["status"] == "sleeping"

    slow.site.wake(6)

    run = slow.show("limited sleeps")
    assert (run["status"], run["error"]["code"]) == ("failed", "RUN_TIMED_OUT")
    assert slow.noted("limited sleeps") == []


def test_a_store_that_is_away_for_ten_seconds_is_waited_for(slow: Slow):
    answers = [status for op, status in slow.requests("away") if op == "PUT"]

    assert answers.count(503) > 4
    slow.go_on("away")  # where this machine is so busy that its function's time ran out
    assert slow.show("away")["result"] == {"total": 45}
    assert slow.site.did().count("s3") == 1
    assert [line for line in slow.site.did() if line in STEPS] == STEPS


@pytest.mark.parametrize("name", ["kept", "lost"])
def test_a_run_that_is_longer_than_its_function_goes_on_in_another_at_once(slow: Slow, name: str):
    site = slow.short[name]
    cut_off = slow.show(name)["attempts"]  # on a busy machine: its function ended in mid-step
    if not cut_off:
        # there is a spare alarm for the event that got lost
        assert slow.show(name)["status"] == ("queued" if name == "lost" else "completed")

    slow.go_on(name)

    assert slow.show(name)["status"] == "completed"
    # what has ended is never repeated
    assert [line for line in site.noted() if line in ENDS] == ENDS
    site.wake(61)
    assert site.alarms() == 0
