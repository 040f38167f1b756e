"""The bridge as it runs on Netlify, in all the ways a process can be treated."""

from __future__ import annotations

import json

import pytest

from tests.real.bridge.site import WAYS, MakeSite


@pytest.mark.parametrize(("process", "after"), WAYS)
@pytest.mark.parametrize("name", ["sequence", "plain"])
def test_each_step_runs_once_however_the_process_is_treated(
    make_site: MakeSite, name: str, process: str, after: str
):
    site = make_site(process, after)

    noted = site.run(name, waits=(31,))

    assert noted == ["invoked", "one", "invoked", "invoked", "two", "invoked", "ended"]
    assert site.invocations(name) == 4
    assert site.dead() == 0


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_three_parallel_steps_and_one_after_take_three_invocations(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    noted = site.run("parallel")

    assert sorted(noted) == ["a", "after", "b", "c", "ended", "invoked", "invoked", "invoked"]
    assert site.invocations("parallel") == 3


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_gathered_steps_survive_the_failure_of_the_seventh(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    site.send("gathered", {"fails": True})
    assert site.due(7)
    site.rig.advance(8)
    site.rig.settle()

    first = [f"step-{n}" for n in range(1, 8)]
    assert site.noted() == [
        "invoked at 0", *first, "invoked at 1", *(f"step-{n}" for n in range(7, 11)), "ended"
    ]  # fmt: skip


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_the_siblings_of_a_failed_step_are_kept_and_the_backoff_too(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    site.send("siblings")
    assert site.due(11)
    site.rig.advance(12)
    site.rig.settle()

    noted = site.noted()
    assert sorted(noted) == [
        "bad", "bad", "better", "ended", "good", "invoked at 0", "invoked at 1", "invoked at 1"
    ]  # fmt: skip


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_an_http_function_starts_workflows_of_its_own_site(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    status, _, text = site.rig.ask("POST", "/api/starting")
    assert (status, json.loads(text)["status"]) == (200, "queued")
    site.rig.idle()
    status, _, text = site.rig.ask("PUT", "/api/starting")
    assert (status, text) == (204, "")
    site.rig.idle()

    assert sorted(site.noted()) == ["answered", "netlify quick", "netlify quick"]
