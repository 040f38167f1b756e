"""The bridge as it runs on Netlify: the real library and engine, real Node, real Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.real.bridge.site import Site


def test_ten_gathered_steps_take_one_invocation(site: Site):
    noted = site.run("gathered")

    assert noted == ["invoked at 0", *(f"step-{n}" for n in range(1, 11)), "ended"]
    assert site.invocations("gathered") == 1


@pytest.mark.parametrize(
    ("how", "done"),
    [
        ("dealt with", {"caught": 1, "between": 1, "last": 2, "ended": 1}),
        ("compensated", {"charge": 3, "refund": 2, "after": 1, "ended": 1}),
        ("beside", {"flaky": 2, "before": 1, "woken": 1, "ended": 1}),
        ("cut off", {"slow": 1, "fallback": 1, "ended": 1}),
    ],
)
def test_only_what_is_to_blame_is_tried_again(site: Site, how: str, done: dict[str, int]):
    noted = site.run("amends", {"how": how}, waits=(12, 12, 12))

    assert Counter(noted) == done
    assert site.dead() == 0


def test_events_sent_between_two_sleeps_are_sent_once(site: Site):
    site.run("sender", waits=(11, 11))

    assert sorted(site.noted()) == ["heard run_workflow", "heard send_event"]
    assert [each["eventChain"] for each in _bodies(site, "listener")] == [
        ["sender", "listener"]
    ] * 2


def _bodies(site: Site, name: str) -> list[dict[str, Any]]:
    return [entry["body"][0] for entry in site.rig.log(name)]


def test_values_come_back_exactly(site: Site):
    assert site.run("exact") == ["ended -1.0"]


def test_a_failing_step_is_tried_again_with_its_backoff_until_it_is_dead(site: Site):
    event_id = site.send("failing")
    site.rig.settle()
    assert site.due(3)
    site.rig.advance(4)
    site.rig.settle()
    assert site.due(9)
    site.rig.advance(10)
    site.rig.settle()

    assert site.noted() == ["kept", "tried", "tried", "tried"]
    assert site.due()
    assert site.dead() == 1
    output = site.rig.output()
    assert f"[{event_id}] attempt 2 of {event_id}" in output
    assert f"[{event_id}] Traceback (most recent call last)" in output
    assert "RuntimeError: no luck" in output


def test_a_failure_that_was_a_suspension_counts_as_an_attempt(site: Site):
    site.send("unlucky")
    assert site.due(3)
    site.rig.advance(4)
    site.rig.settle()
    assert site.due(9)  # Netlify, which has counted no failure yet, would have taken 3
    site.rig.advance(10)
    site.rig.settle()

    noted = [line for line in site.noted() if line != "bad"]
    assert noted == ["invoked at 0", "good", "invoked at 1", "invoked at 2"]
    assert site.due()
    assert (site.noted().count("bad"), site.dead()) == (3, 1)


def test_do_not_retry_is_a_dead_letter_at_once(site: Site):
    assert site.run("final", waits=(3600,)) == ["tried"]
    assert site.dead() == 1


@pytest.mark.parametrize(
    ("data", "due"),
    [
        ({"delay": "90 seconds"}, 90),
        ({"delay": "1 second"}, 5),  # the backoff is longer
        ({"delay": "1 second", "force": True}, 1),
    ],
)
def test_retry_after_is_honoured(site: Site, data: dict[str, Any], due: int):
    site.send("later", data)

    assert site.due(due)
    site.rig.advance(due + 1)
    site.rig.settle()
    assert site.noted() == ["tried", "tried", "ended"]


def test_output_arrives_in_order_with_the_event_id(site: Site):
    event_id = site.send("speaking")

    lines = site.rig.output().splitlines()
    said = [line.removeprefix(f"[{event_id}] ") for line in lines if event_id in line]
    assert said == [
        "first",
        "second",
        "shop: third with a value",
        "kit.workflow.speaking: fourth",
        "from a thread",
        "an end without a line end",
        "Traceback (most recent call last):",
    ]
    assert "from below" in lines
    assert any("KeyError: 'the last word'" in line for line in lines)
