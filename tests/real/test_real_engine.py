"""What the kit sends, taken by the real engine: accepted, delayed, ordered, retried, deleted."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.client import default
from kit.client.api import run_workflow, send_event, send_events
from kit.client.async_workflow_client import AsyncWorkflowClient
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
        timeout=60,
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


async def test_chosen_events_are_deleted(site: Rig, manager: AsyncWorkflowClient):
    gone, kept = [await send_event("rig.record", delay="1 hour") for _ in range(2)]

    accepted = await manager.delete_events(ids=[gone])
    site.settle()
    site.advance(7200)
    site.settle()

    assert accepted.event_id is not None
    assert [each["eventId"] for each in site.seen()] == [kept]


@pytest.mark.parametrize("chosen", [{"states": ["pending"]}, {"everything": True}])
async def test_all_of_a_state_and_all_there_is_are_deleted(
    site: Rig, manager: AsyncWorkflowClient, chosen: dict[str, Any]
):
    await send_events([{"name": "rig.record", "delay": "1 hour"} for _ in range(3)])

    await manager.delete_events(**chosen)

    site.settle()
    assert not any(site.events().values())


async def test_events_in_other_states_are_kept(site: Rig, manager: AsyncWorkflowClient):
    event_id = await send_event("rig.record", delay="1 hour")

    await manager.delete_events(ids=[event_id], states=["dead-lettered", "hibernating"])

    site.settle()
    assert [each["body"]["eventId"] for each in site.events()["pending"]] == [event_id]


@pytest.mark.parametrize("by", ["ids", "names", "everything"])
async def test_a_dead_letter_is_tried_again(site: Rig, manager: AsyncWorkflowClient, by: str):
    event_id = await send_event("rig.fail", {"final": True})
    assert [each["attempt"] for each in site.seen()] == [0]

    chosen = {"ids": [event_id], "names": ["rig.fail"], "everything": True}
    await manager.retry_events(**{by: chosen[by]})
    site.settle()

    assert [(each["eventId"], each["attempt"]) for each in site.seen()] == [(event_id, 0)] * 2


async def test_management_needs_the_key(site: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    await send_event("rig.record", delay="1 hour")

    async with AsyncWorkflowClient(site.url, "wrong-key") as stranger:
        with pytest.raises(RejectedError) as caught:
            await stranger.delete_events(everything=True)

    assert caught.value.status_code == 401
    site.settle()
    assert len(site.events()["pending"]) == 1


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


@pytest.mark.parametrize("process", ["one", "per-invocation"])
def test_a_process_that_ends_in_place_runs_each_step_once(make_rig: type[Rig], process: str):
    with make_rig(process=process, after="end") as rig:
        send(rig, "rig.steps")
        go_on(rig)

        assert [each["steps"] for each in rig.seen()] == IN_TURN
        assert len({each["pid"] for each in rig.log("steps")}) == len(IN_TURN)
        assert rig.workers() == []


@pytest.mark.parametrize("process", ["one", "per-invocation"])
def test_a_process_that_is_killed_serves_nothing_more(make_rig: type[Rig], process: str):
    """It may get some way past a step before: in the library, that repeats steps."""
    with make_rig(process=process, after="kill") as rig:
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
        socket.create_connection(("127.0.0.1", port), timeout=5).close()  # frozen, and there
        rig.process.kill()
        rig.process.wait(timeout=10)

        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
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
