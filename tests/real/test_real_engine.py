"""What the kit sends, taken by the real engine: accepted, delayed, ordered, retried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.client import default
from kit.client.api import run_workflow, send_event, send_events
from kit.client.default import Default
from kit.client.netlify import NetlifyProvider
from kit.model.errors import ConnectionFailedError, RejectedError
from kit.project.catalog import Catalog
from tests.support.client_suite import VALUES, same

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

ROUTER = "async-workloads-router"
ROUTER_PATH = f"/.netlify/functions/{ROUTER}"


def received(rig: Rig) -> dict[str, Any]:
    """Return the data the recorder was given, by event id: its exact JSON text, read again."""
    return {each["eventId"]: json.loads(each["data"]) for each in rig.seen(workload="recorder")}


async def test_a_run_arrives_under_its_id(site: Rig):
    run = await run_workflow("publish-draft", {"title": "Ship"})

    (seen,) = site.seen()
    assert run.provider == "netlify"
    assert (seen["eventName"], seen["eventId"]) == ("publish-draft", run.id)
    assert (json.loads(seen["data"]), seen["attempt"]) == ({"title": "Ship"}, 0)


async def test_an_acknowledgement_says_what_was_taken(site: Rig):
    run = await run_workflow("publish-draft")

    assert run.native.event_id == run.id
    assert (run.native.status, run.native.tries) == (200, 1)


async def test_a_delivery_is_as_recorded(site: Rig):
    """The whole of what the router makes of an event of ours."""
    run = await run_workflow("publish-draft", {"text": "é☃"}, priority=7)

    site.idle()
    (delivery,) = site.log("recorder")
    assert delivery["query"] == {"events": '["publish-draft"]'}
    assert delivery["body"] == [
        {
            "eventName": "publish-draft",
            "eventId": run.id,
            "data": {"text": "é☃"},
            "priority": 7,
            "baseUrl": site.url,
            "eventChain": ["publish-draft"],
            "attemptContext": {
                "attempt": 0,
                "maxRetries": 4,
                "nextDelayTime": 5000,
                "originalQTime": -1,
            },
            "fnContext": "production",
        }
    ]


async def test_one_key_is_one_event(site: Rig):
    one = await run_workflow("publish-draft", id="order-1")
    other = await run_workflow("publish-draft", id="order-1")

    assert [each["eventId"] for each in site.seen()] == [one.id, other.id]
    assert one.id == other.id


async def test_names_match_whatever_their_case(site: Rig):
    event_id = await send_event("Publish-DRAFT")

    assert [each["eventId"] for each in site.seen()] == [event_id]


async def test_an_event_nobody_wants_is_taken_and_dropped(site: Rig):
    await send_event("nobody.wants.this")

    assert site.seen() == []
    assert not any(site.events().values())


async def test_a_filter_chooses_events_by_their_data(site: Rig):
    await send_event("rig.filter", {"wanted": False})
    wanted = await send_event("rig.filter", {"wanted": True})

    assert [each["eventId"] for each in site.seen()] == [wanted]


def test_two_variables_are_all_a_script_needs(rig: Rig, tmp_path: Path):
    """The README's one-liner, in a folder with nothing in it."""
    script = (
        'from kit.sync import run_workflow; print(run_workflow("publish-draft", {"title": "x"}).id)'
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"WORKFLOW_BASE_URL": rig.url, "WORKFLOW_API_KEY": rig.key},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert received(rig) == {done.stdout.strip(): {"title": "x"}}


async def test_data_arrives_as_it_was_sent(site: Rig):
    sent = await send_events([("rig.record", value) for value in VALUES])

    got = received(site)
    assert [each.error for each in sent] == [None] * len(VALUES)
    assert [
        value
        for value, each in zip(VALUES, sent, strict=True)
        if not same(value, got[each.event_id])
    ] == []


SAFE = 2**53 - 1
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values=st.lists(JSON_VALUES, min_size=12, max_size=24))
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_data_arrives_as_it_was_sent(site: Rig, values: list[Any]):
    """Each example is a dozen and more, sent together: one round trip for all of them."""
    sent = await send_events([("rig.record", value) for value in values])

    got = received(site)
    for value, each in zip(values, sent, strict=True):
        assert each.ok
        assert same(value, got[each.event_id])


async def test_twenty_events_go_in_two_calls(site: Rig):
    sent = await send_events([("rig.record", {"n": n}) for n in range(20)])

    assert all(each.ok for each in sent)
    assert received(site) == {each.event_id: {"n": n} for n, each in enumerate(sent)}
    assert [len(each["body"]) for each in site.log(ROUTER)] == [10, 10]


async def test_a_delayed_event_waits_for_its_time(site: Rig):
    run = await run_workflow("publish-draft", {"x": 1}, delay="3 hours", priority=7)
    site.settle()
    assert site.seen() == []
    (stored,) = site.events()["pending"]

    site.advance(3 * 3600 - 60)
    site.settle()
    assert site.seen() == []
    site.advance(120)
    site.settle()

    (seen,) = site.seen()
    assert (stored["body"]["eventId"], stored["body"]["priority"]) == (run.id, 7)
    assert (seen["eventId"], seen["priority"], json.loads(seen["data"])) == (run.id, 7, {"x": 1})
    assert not any(site.events().values())


async def test_of_delayed_events_the_more_important_goes_first(site: Rig):
    low, none, high = [
        await send_event("rig.record", delay="1 minute", priority=priority)
        for priority in (-50, None, 50)
    ]

    site.advance(90)
    site.settle()

    (call,) = [each for each in site.log(ROUTER) if each["hasKey"] and len(each["body"]) == 3]
    assert [each["eventId"] for each in call["body"]] == [high, none, low]
    assert {each["eventId"] for each in site.seen()} == {high, none, low}


async def test_a_failing_workload_is_tried_again_when_its_backoff_is_over(site: Rig):
    await send_event("rig.fail", {"failures": 2})
    site.settle()
    assert [each["attempt"] for each in site.seen()] == [0]

    for _ in range(2):
        site.advance(6)
        site.settle()

    assert [each["attempt"] for each in site.seen()] == [0, 1, 2]
    assert len(site.seen("completed")) == 1
    assert not any(site.events().values())


async def test_an_event_that_keeps_failing_ends_as_a_dead_letter(site: Rig):
    event_id = await send_event("rig.fail", {"failures": 9})

    for backoff in (5, 5, 20, 40):
        site.idle()
        (wait,) = [
            each["body"]["delayUntilTime"] - each["body"]["enqueuedTime"]
            for each in site.events()["pending"]
        ]
        assert round(wait / 1000) == backoff
        site.advance(backoff + 1)
        site.tick()

    assert [each["attempt"] for each in site.seen()] == [0, 1, 2, 3, 4]
    events = site.events()
    assert [each["body"]["eventId"] for each in events.pop("dead-lettered")] == [event_id]
    assert not any(events.values())


async def test_a_wrong_key_is_refused_with_what_to_do(
    rig: Rig, make_provider: Callable[..., NetlifyProvider], monkeypatch: pytest.MonkeyPatch
):
    provider = make_provider(key="wrong-key")
    monkeypatch.setattr(default, "_default", Default(provider, Catalog()))

    with pytest.raises(RejectedError) as caught:
        await run_workflow("publish-draft")

    await provider.close()
    assert caught.value.status_code == 401
    assert "the API key was refused (401). Set WORKFLOW_API_KEY" in str(caught.value)
    assert "wrong-key" not in str(caught.value)
    assert rig.seen() == []


async def test_a_busy_router_is_asked_again(site: Rig):
    site.answers(2, status=503, headers={"retry-after": "0"})

    run = await run_workflow("publish-draft")

    assert run.native.tries == 3
    assert [each["eventId"] for each in site.seen()] == [run.id]


async def test_a_lost_answer_delivers_twice_under_one_id(site: Rig):
    site.answers(drop=True, let_pass=True)

    run = await run_workflow("publish-draft")

    assert [each["eventId"] for each in site.seen()] == [run.id, run.id]


async def test_a_router_that_stays_busy_is_given_up(site: Rig):
    site.answers(4, status=502, headers={"retry-after": "0"})

    with pytest.raises(ConnectionFailedError) as caught:
        await run_workflow("publish-draft")

    assert (caught.value.status_code, caught.value.may_have_arrived) == (502, True)
    assert site.seen() == []
