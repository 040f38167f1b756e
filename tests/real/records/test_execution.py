"""Runs with a record, as on Netlify: the real library and engine, real Node, real Python."""

from __future__ import annotations

import uuid

import pytest

from tests.real.records.conftest import MakeSite
from tests.real.records.site import FN, STEPS, Site

WAYS = [("in-process", "run"), ("one", "freeze"), ("one", "end"), ("one", "kill")]


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_ten_steps_are_one_invocation_and_a_sleep_of_minutes_is_one_more(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    run = site.run("ten")
    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS]
    assert [step["id"] for step in run["steps"]] == STEPS
    assert len(site.writes()) == 12

    run = site.run("ten", {"sleep": 600})
    assert (run["status"], run["steps"][-1]["status"]) == ("sleeping", "sleeping")
    site.wake(601)

    run = site.show(run["id"])
    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 3)
    assert site.noted()[11:] == ["invoked", *STEPS[:5], "invoked", *STEPS[5:]]


def test_a_sleep_of_a_moment_is_no_invocation(site: Site):
    run = site.run("ten", {"sleep": 2})

    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS[:5], "invoked", *STEPS[5:]]


def test_parallel_steps_that_end_together_are_one_commit(site: Site):
    run = site.run("together")

    assert (run["result"], sorted(site.noted())) == ("abc", ["a", "b", "c"])
    assert len(site.writes()) == 3  # taken, committed, ended


def test_a_run_is_seen_from_its_first_delivery_to_its_end(site: Site):
    event_id = str(uuid.uuid4())
    assert site.ask("GET", f"/{event_id}")[0] == 404

    site.send("ten", {"sleep": 600}, event_id=event_id)
    site.rest()
    assert [run["id"] for run in site.list("?status=sleeping&workflow=ten")] == [event_id]
    site.wake(601)

    assert site.ask("GET", f"/{event_id}/result")[1]["result"] == {"total": 45}
    assert site.list("?status=sleeping") == []


def test_a_failure_is_tried_again_with_its_backoff_and_a_step_that_was_kept_is_not(site: Site):
    run = site.run("failing", {"failures": 2}, waits=(61,))

    assert (run["status"], run["result"], run["attempt"]) == ("completed", "charged", 2)
    assert site.noted() == ["kept", "tried", "tried", "tried"]
    assert [each["retryIn"] for each in run["attempts"]] == [1_000, 60_000]
    assert site.invocations() == 2  # the second was waited for in place
    (first, _) = run["attempts"]
    assert (first["error"]["type"], first["error"]["stepId"]) == ("ValueError", "charge")
    assert "failing.py" in first["error"]["traceback"]


def test_the_last_failure_is_a_dead_letter_which_can_be_retried(site: Site):
    run = site.run("failing", {"failures": 3}, waits=(61,))
    assert (run["status"], run["error"]["message"]) == ("failed", "no luck")
    assert len(site.rig.events()["dead-lettered"]) == 1

    status, queued = site.ask("POST", f"/{run['id']}/retry")
    assert (status, queued["status"]) == (202, "queued")
    site.rest()

    run = site.show(run["id"])
    assert (run["status"], run["result"], run["attempt"]) == ("completed", "charged", 0)
    assert site.noted() == ["kept", "tried", "tried", "tried", "tried"]


@pytest.mark.parametrize("times", [2, 5])
def test_one_event_delivered_often_at_once_is_one_run(make_site: MakeSite, times: int):
    site = make_site("one")

    event_id = site.send("ten", {"sleep": 2}, times=times)
    site.rest()
    site.send("ten", {"sleep": 2}, event_id=event_id)
    site.rest()
    site.wake(60)

    run = site.show(event_id)
    assert (run["status"], run["result"], site.did()) == ("completed", {"total": 45}, STEPS)
    assert site.alarms() == 0


def test_what_the_engine_has_forgotten_the_record_knows(site: Site):
    event_id = site.send("ten", {"sleep": 600})
    site.rest()
    site.rig.advance(601)
    # the hand-over to the function fails, and Async Workloads empties its memory of steps
    site.rig.answers(fn=FN, status=502)
    site.rig.settle()
    site.wake(6)

    assert site.show(event_id)["result"] == {"total": 45}
    assert site.did() == STEPS


def test_a_run_that_sleeps_for_a_day_is_stopped_at_once(site: Site):
    event_id = site.send("long", {"how": "sleeps"})
    site.rest()
    assert site.show(event_id)["status"] == "sleeping"

    assert site.ask("POST", f"/{event_id}/stop")[1]["status"] == "cancelled"
    site.wake(90_000)

    assert (site.show(event_id)["status"], site.noted()) == ("cancelled", [])
    assert site.rig.events()["hibernating"] == []


def test_a_thousand_steps_in_a_background_function(site: Site):
    run = site.run("many", {"steps": 1_000})

    assert (run["status"], run["result"], len(run["steps"])) == ("completed", 1_000, 1_000)
    sizes = [each["bytes"] for each in site.writes()]
    assert len(sizes) == 1_002
    assert max(sizes) < 50_000
    assert sum(sizes) < 25_000_000


def test_a_run_that_sleeps_often_does_not_grow_with_it(site: Site):
    carried = [
        {"stepId": f"awl:sleep:kit:wake:{n}", "stepResult": '{"duration":1}'} for n in range(48)
    ]
    event_id = site.send("napping", {"times": 5}, stepResults=carried)
    site.rest()
    sizes = []
    for _ in range(10):  # each nap is looked at in its middle, too, as the scheduler would
        waiting = [each["body"] for events in site.rig.events().values() for each in events]
        sizes.append(max(len(each["stepResults"]) for each in waiting))
        site.rig.advance(301)
        site.rig.tick(2)

    run = site.show(event_id)
    assert (run["status"], run["result"]) == ("completed", 5)
    assert sizes == [49, 49, 50, 50, 51, 51, 51, 1, 2, 2]
    assert site.invocations() == 6 + 1  # the spare alarm finds that another was set
    site.wake(600)
    assert site.alarms() == 0
