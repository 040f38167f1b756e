"""`kit events`: nothing is deleted by an empty choice, and accepted is not done."""

import json

import httpx
import pytest

from kit.model.event import derived_id
from kit.netlify.management import STATES

SITE = "https://site.example"
API = f"{SITE}/.netlify/functions/async-workloads-api"
TO_SITE = ("--base-url", SITE, "--api-key", "s3cret-key")
ID = derived_id("x")
DONE = {"workloadResult": {"sendStatus": "succeeded", "eventId": ID}}


RUNS = f"{SITE}/.netlify/functions/kit-runs"


@pytest.fixture(autouse=True)
def runs(network):
    """The site's runs API: none, at first."""
    return network.get(url__startswith=RUNS).respond(404)


@pytest.fixture
def orders(network):
    network.delete(f"{API}/events").respond(200, json=DONE)
    network.post(f"{API}/failed-events").respond(200, json=DONE)
    return lambda: json.loads(
        [call for call in network.calls if call.request.method != "GET"][-1].request.content
    )


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["delete", ID], {"eventIds": [ID]}),
        (
            ["delete", "--state", "pending", "--state", "delayed", "--yes"],
            {"states": ["pending", "delayed"]},
        ),
        (["delete", "--all", "--yes"], {"states": [*STATES]}),
        (
            ["delete", "--name", "W", "--id", "order-7"],
            {"eventIds": [derived_id("run", "w", "order-7")]},
        ),
        (["retry", ID], {"eventIds": [ID]}),
        (
            ["retry", ID, "--name", "w", "--id", "a", "--id", "b"],
            {"eventIds": [ID, derived_id("run", "w", "a"), derived_id("run", "w", "b")]},
        ),
        (["retry", "--name", "w"], {"eventNames": ["w"]}),
        (["retry", "--all"], {}),
    ],
)
def test_an_order_names_what_it_is_about(kit, orders, arguments, body):
    said = kit("events", *arguments, *TO_SITE)

    assert said.status == 0
    assert orders() == body
    assert "accepted, not done yet" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["delete"],
        ["retry"],
        ["delete", "x"],
        ["delete", "--state", "done"],
        ["delete", ID, "--all"],
        ["delete", "--all"],
        ["delete", "--state", "pending"],
        ["delete", "--id", "order-7"],
        ["delete", "--name", "w"],
        ["retry", "--id", "order-7"],
        ["retry", "--id", "order-7", "--name", "a", "--name", "b"],
        ["retry", "--id", "order-7", "--name", "\u2603"],
        ["retry", "--id", "", "--name", "w"],
        ["delete", *[word for state in STATES for word in ("--state", state)]],
    ],
)
def test_an_order_that_could_mean_everything_is_wrong_use(kit, arguments):
    assert kit("events", *arguments, *TO_SITE).status == 2


def test_the_order_is_told_as_json(kit, orders):
    said = kit("events", "retry", "--all", "--json", *TO_SITE)

    assert said.json == {"accepted": True, "eventId": ID}


def test_a_site_without_the_api_is_an_error(kit, network):
    network.delete(f"{API}/events").respond(404)
    said = kit("events", "delete", "--all", "--yes", *TO_SITE)

    assert said.status == 1
    assert "Install Async Workloads" in said.err
    assert "s3cret-key" not in said.err


def test_without_a_site_there_are_no_events(kit):
    assert "kit runs" in kit("events", "delete", "--all").err


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_deleting_many_is_asked_about_at_a_terminal(
    kit, orders, network, monkeypatch, answer, status
):
    monkeypatch.setattr("kit.cli.commands.events._can_ask", lambda: True)
    said = kit("events", "delete", "--all", *TO_SITE, stdin=f"{answer}\n".encode())

    assert said.status == status
    assert f"Delete every event of {SITE}? [y/N]" in said.err
    ordered = [call for call in network.calls if call.request.method == "DELETE"]
    assert len(ordered) == (1 if status == 0 else 0)
    assert said.out.strip() == ""


def test_where_nobody_can_be_asked_deleting_many_says_what_to_give(kit, network):
    said = kit("events", "delete", "--state", "pending", *TO_SITE)

    assert said.status == 2
    assert f"Delete every pending event of {SITE}? Nobody can be asked here" in said.err
    assert "--yes" in said.err
    assert {call.request.method for call in network.calls} == {"GET"}


def line(status):
    times = {"createdAt": 1, "startedAt": 1, "endedAt": None, "dueAt": None}
    return {"id": ID, "workflow": "w", "status": status, "attempt": 0, "priority": 0, **times}


def recorded(status):
    run = {**line(status), "data": None, "result": None, "error": None, "steps": [], "attempts": []}
    return httpx.Response(200, headers={"x-kit-runs": "1"}, json=run)


@pytest.mark.parametrize(
    ("command", "status", "advice"),
    [("retry", "failed", "kit runs retry"), ("delete", "sleeping", "kit runs stop")],
)
def test_an_event_that_only_wakes_a_run_with_a_record_is_left_alone(
    kit, runs, network, command, status, advice
):
    runs.mock(return_value=recorded(status))
    said = kit("events", command, ID, *TO_SITE)

    assert said.status == 1
    assert f"run {ID} has a record, and is {status}" in said.err
    assert f"{advice} {ID}" in said.err
    assert {call.request.method for call in network.calls} == {"GET"}
    said = kit("events", command, ID, "--json", *TO_SITE)
    assert said.json["error"]["code"] == "RUN_HAS_RECORD"


@pytest.mark.parametrize(("command", "status"), [("retry", "sleeping"), ("delete", "failed")])
def test_otherwise_it_is_an_event_like_any(kit, runs, orders, command, status):
    runs.mock(return_value=recorded(status))
    assert kit("events", command, ID, *TO_SITE).status == 0
    assert orders() == {"eventIds": [ID]}


@pytest.mark.parametrize("arguments", [["--all"], ["--name", "w"]])
def test_that_runs_with_a_record_are_not_tried_again_is_said(kit, runs, orders, arguments):
    page = {"runs": [line("failed")], "next": None}
    runs.respond(200, headers={"x-kit-runs": "1"}, json=page)
    said = kit("events", "retry", *arguments, *TO_SITE)

    assert said.status == 0
    assert "note: not those with a record: kit runs --status failed" in said.err


def test_that_runs_with_a_record_would_sleep_for_ever_is_said_before(kit, runs):
    page = {"runs": [line("sleeping")], "next": None}
    runs.respond(200, headers={"x-kit-runs": "1"}, json=page)
    assert "Nothing will wake the runs" in kit("events", "delete", "--all", *TO_SITE).err
