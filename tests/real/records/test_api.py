"""The runs API over HTTP: who is let in, what is refused, and that the key is nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.real.records.site import RUNS, STEPS, Site

BAD_IDS = [
    "..%2f..%2fx",
    "x%3fy",
    "x%23y",
    "x?y",
    "x#y",
    "a" * 10_000,
    "5",
    "%00",
    "index%2f2026-01-01",
]


def test_what_is_no_id_is_refused_as_json(site: Site):
    for bad in BAD_IDS:
        for method, rest in (("GET", ""), ("GET", "/result"), ("POST", "/stop"), ("DELETE", "")):
            status, answer = site.ask(method, f"/{bad}{rest}")
            assert (status, answer["error"]["code"]) == (400, "INVALID_ID"), (bad, method)
    assert [each for each in site.rig.store_log() if "kit-runs" in each["key"]] == []


@pytest.mark.parametrize("path", ["/../../../etc/passwd", "/../kit-runs/../x", "/%2e%2e/%2e%2e/x"])
def test_a_path_that_leads_out_leads_nowhere(site: Site, path: str):
    status, _, text = site.rig.ask("GET", RUNS + path, key=site.rig.key)

    assert status in (400, 404)
    assert json.loads(text) is None or "error" in json.loads(text)
    assert site.rig.store_log() == []


def test_nobody_is_let_in_without_the_key(site: Site):
    event_id = site.run("ten")["id"]

    for key in (None, "wrong", f"{site.rig.key}x", site.rig.key[:-1], site.rig.key.upper()):
        for method, path in (("GET", ""), ("GET", f"/{event_id}"), ("DELETE", f"/{event_id}")):
            status, headers, text = site.rig.ask(method, RUNS + path, key=key)
            assert (status, json.loads(text)["error"]["code"]) == (401, "UNAUTHORIZED")
            assert "access-control-allow-origin" not in headers
    assert site.show(event_id)["status"] == "completed"


def test_pages_of_other_sites_are_refused_though_they_know_the_key(site: Site):
    event_id = site.run("ten")["id"]
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        for method, path in (("GET", ""), ("OPTIONS", ""), ("DELETE", f"/{event_id}")):
            status, answered, text = site.rig.ask(
                method, RUNS + path, key=site.rig.key, headers=headers
            )
            assert (status, json.loads(text)["error"]["code"]) == (403, "FOREIGN_ORIGIN")
            assert "access-control-allow-origin" not in answered
    status, _, _ = site.rig.ask("GET", RUNS, key=site.rig.key, headers={"origin": site.rig.url})
    assert status == 200
    assert site.show(event_id)["status"] == "completed"


BEGINNINGS = ("queued", "running", "sleeping")
"""What a run that was just started may be: its first delivery goes on beside."""


def texts(folder: Path) -> list[tuple[Path, bytes]]:
    found = [
        each for each in folder.rglob("*") if each.is_file() and "node_modules" not in each.parts
    ]
    return [(each, each.read_bytes()) for each in found]


def test_the_key_is_in_no_log_no_record_no_answer_and_no_file(site: Site, functions: Path):
    run = site.run("failing", {"failures": 5}, waits=(61,))
    site.run("asking")
    asked = [
        site.ask("POST", f"/{run['id']}/retry"),
        site.ask("GET", "?limit=x"),
        site.ask("GET", ""),
        site.ask("GET", f"/{run['id']}"),
        site.rig.ask("GET", RUNS, key="wrong"),
    ]
    site.rig.spoil("denied", times=1_000, key="kit-runs")
    asked += [site.ask("GET", f"/{run['id']}"), site.ask("POST", "/try-store")]
    site.rest()
    site.rig.mend()

    key = site.rig.key
    for place in (site.rig.output(), json.dumps(site.rig.blobs()), json.dumps(asked)):
        assert key not in place
    assert key not in json.dumps(site.rig.log())  # of which the rig takes the header off
    assert site.tally.read_text().count(key) == 0
    for file, content in texts(functions.parent):
        assert key.encode() not in content, file


def test_an_ended_run_is_deleted_and_a_late_event_does_not_begin_it_anew(site: Site):
    event_id = site.run("ten")["id"]

    assert site.ask("DELETE", f"/{event_id}") == (200, {"deleted": [event_id]})
    site.send("ten", event_id=event_id)
    site.rest()

    assert site.ask("GET", f"/{event_id}")[0] == 404
    assert site.noted() == ["invoked", *STEPS]


def answer(site: Site, method: str, path: str, body: Any = None) -> Any:
    status, _, text = site.rig.ask(method, f"/api/{path}", body)
    assert status == 200, (status, text, site.rig.output()[-2000:])
    return json.loads(text)


@pytest.mark.parametrize("name", ["runs", "plainly"])
def test_within_an_http_function_runs_are_started_seen_stopped_and_waited_for(
    site: Site, name: str
):
    begun = answer(site, "POST", name, {"sleep": 600})
    site.rest()
    told = answer(site, "GET", f"{name}?id={begun['id']}")
    assert begun["status"] in BEGINNINGS
    assert told["status"] == "sleeping"
    if name == "runs":
        assert answer(site, "GET", name) == [begun["id"]]
        assert told["steps"] == STEPS[:5]
    else:
        assert told["runs"] == [begun["id"]]
    site.wake(601)
    assert answer(site, "PUT", f"{name}?id={begun['id']}") == {"total": 45}
    assert answer(site, "DELETE", f"{name}?id={begun['id']}") is False

    other = site.run("long", {"how": "sleeps"})["id"]
    assert answer(site, "DELETE", f"{name}?id={other}") is True
    assert site.show(other)["status"] == "cancelled"


def test_within_a_step_another_run_is_started_looked_at_and_stopped(site: Site):
    run = site.run("asking")

    assert run["status"] == "completed", (run, site.rig.output()[-2000:])
    other = run["result"]["begun"]["id"]
    assert run["result"].pop("begun")["status"] in BEGINNINGS
    assert run["result"] == {
        "looked": {"status": "sleeping", "steps": STEPS[:5]},
        "listed": [other],
        "stopped": True,
    }
    assert site.show(other)["status"] == "cancelled"
