"""A store that does wrong for a moment, for long, or for good; and what that is told as."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kit.client.doctor import examine
from tests.real.records.conftest import MakeSite
from tests.real.records.site import STEPS, Site


@pytest.mark.parametrize(
    "rule",
    [
        {"do": "lost"},
        {"do": "lost", "times": 3, "after": 4},
        {"do": "untagged", "op": "PUT", "times": 3, "after": 2},
        {"do": "refused", "times": 4, "after": 3},
        {"do": "late", "ms": 300, "times": 3, "after": 3},
    ],
    ids=lambda rule: f"{rule['do']}-{rule.get('times', 1)}",
)
def test_what_the_store_does_wrong_for_a_moment_changes_nothing(site: Site, rule: dict[str, Any]):
    site.rig.spoil(**{"op": "PUT", "key": "/runs/", **rule})

    run = site.run("ten")

    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS]


def test_access_that_is_refused_in_mid_run_is_told_and_the_run_goes_on_later(site: Site):
    site.rig.spoil("denied", op="PUT", key="/runs/", after=4)
    event_id = site.send("ten")
    site.rest()
    assert "the access given to this invocation was refused (401)" in site.rig.output()
    assert site.show(event_id)["status"] == "running"
    site.wake(6)  # it has let go of the run, so nobody waits for its lease to end

    run = site.show(event_id)
    assert (run["status"], run["result"], run["attempt"]) == ("completed", {"total": 45}, 0)
    assert site.did() == [*STEPS[:4], "s3", *STEPS[4:]]  # the one whose commit was refused


def test_two_that_are_both_told_they_have_the_run_find_out_at_their_next_commit(
    make_site: MakeSite,
):
    site = make_site("one")
    site.rig.spoil("two-winners", op="PUT", key="/runs/", times=2)

    event_id = site.send("ten", {"pause": 0.05}, times=2)
    site.rest()
    site.wake(60)

    run = site.show(event_id)
    assert (run["status"], run["result"]) == ("completed", {"total": 45})
    assert [step["id"] for step in run["steps"]] == STEPS
    counts = [site.did().count(step) for step in STEPS]
    assert sum(counts) <= len(STEPS) + 1  # the one step between
    assert site.alarms() == 0


def verdicts(site: Site) -> dict[str, tuple[bool | None, str]]:
    checks = examine(base_url=site.rig.url, api_key=site.rig.key, environ={}, try_store=True)
    return {
        each.name.removeprefix("store: "): (each.ok, each.why)
        for each in checks
        if each.name.startswith("store")
    }


@pytest.fixture
def reached(network: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Let the kit's own client through to the rig, from outside of any project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    network.route(host="127.0.0.1").pass_through()


@pytest.mark.usefixtures("reached")
def test_a_store_without_conditions_is_found_out_by_kit_doctor(site: Site):
    site.rig.spoil("two-winners", op="PUT", key="/trial/", times=1_000)

    found = verdicts(site)

    assert found["a key is created once"] == (False, "it was created twice")
    assert found["a stale etag is refused"] == (False, "it overwrote what was newer")
    assert found["conditional writes"][0] is False
    assert found["conditional writes"][1].startswith("broken")
    assert "kit-runs" not in site.rig.blobs()


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize(
    "rule",
    [
        {"do": "lost", "op": "PUT", "times": 3},
        {"do": "refused", "op": "PUT", "times": 3},
        {"do": "untagged", "op": "PUT", "times": 3},
        {"do": "refused", "op": "DELETE", "times": 2},
    ],
    ids=lambda rule: f"{rule['do']}-{rule['op']}",
)
def test_faults_that_a_run_survives_do_not_spoil_the_trial(site: Site, rule: dict[str, Any]):
    site.rig.spoil(key="/trial/", **rule)

    assert verdicts(site)["conditional writes"][0] is True
    assert not site.rig.blobs().get("kit-runs")


@pytest.mark.usefixtures("reached")
def test_a_store_that_refuses_access_or_tells_no_etags_is_named_by_kit_doctor(site: Site):
    for rule, words in (
        ({"do": "denied"}, "the access given to this invocation was refused (401)"),
        ({"do": "untagged"}, "did not tell the etag"),
    ):
        site.rig.spoil(times=1_000, key="/trial/", **rule)
        ok, why = verdicts(site)["conditional writes"]
        site.rig.mend()
        assert ok is False
        assert words in why


def test_what_ended_long_ago_is_swept_away(site: Site):
    sweep = "/.netlify/functions/kit-retention"
    old = site.run("ten")["id"]
    asleep = site.run("long", {"how": "sleeps"})["id"]
    site.rig.advance(20 * 86_400)
    young = site.run("ten")["id"]

    assert site.rig.ask("POST", sweep, {"next_run": "2026-01-01T00:00:00Z"})[0] == 204
    assert {run["id"] for run in site.list("")} == {old, asleep, young}
    site.rig.advance(11 * 86_400)
    assert site.rig.ask("POST", sweep, {"next_run": "2026-01-01T00:00:00Z"})[0] == 204

    assert {run["id"] for run in site.list("")} == {asleep, young}
    assert "removed 1 runs" in site.rig.output()
    assert old not in json.dumps(site.rig.blobs()["kit-runs"])
