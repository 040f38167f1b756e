"""`kit events`: nothing is deleted by an empty choice, and accepted is not done."""

import json

import pytest

from kit.model.event import derived_id
from kit.netlify.management import STATES

SITE = "https://site.example"
API = f"{SITE}/.netlify/functions/async-workloads-api"
TO_SITE = ("--base-url", SITE, "--api-key", "s3cret-key")
ID = derived_id("x")
DONE = {"workloadResult": {"sendStatus": "succeeded", "eventId": ID}}


@pytest.fixture
def orders(network):
    network.delete(f"{API}/events").respond(200, json=DONE)
    network.post(f"{API}/failed-events").respond(200, json=DONE)
    return lambda: json.loads(network.calls.last.request.content)


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
    assert network.calls.call_count == (1 if status == 0 else 0)
    assert said.out.strip() == ""


def test_where_nobody_can_be_asked_deleting_many_says_what_to_give(kit, network):
    said = kit("events", "delete", "--state", "pending", *TO_SITE)

    assert said.status == 2
    assert f"Delete every pending event of {SITE}? Nobody can be asked here" in said.err
    assert "--yes" in said.err
    assert not network.calls
