"""`kit runs` where the provider is netlify: the site's runs, over its runs API."""

import json

import httpx
import pytest

from kit.model.event import derived_id

SITE = "https://site.example"
RUNS = f"{SITE}/.netlify/functions/kit-runs"
ID, OTHER = derived_id("one"), derived_id("two")
ERROR = {"type": "ValueError", "message": "bad", "traceback": "tb", "stepId": "pay", "code": None}


@pytest.fixture(autouse=True)
def _site(root, monkeypatch):
    monkeypatch.setattr("os.environ", {"WORKFLOW_BASE_URL": SITE, "WORKFLOW_API_KEY": "s3cret"})


def answer(body, status=200):
    return httpx.Response(status, headers={"x-kit-runs": "1"}, json=body)


def refusal(status, code):
    return answer({"error": {"code": code, "message": "said there"}}, status)


def listed(run_id=ID, status="completed", error=None):
    return {
        "id": run_id,
        "workflow": "publish-draft",
        "status": status,
        "attempt": 0,
        "createdAt": 1_764_154_800_000,
        "startedAt": 1_764_154_800_100,
        "endedAt": 1_764_154_801_000,
        "dueAt": None,
        "priority": 0,
        "error": error and {**error, "traceback": ""},
    }


def shown(status="completed", error=None, attempts=()):
    step = {"id": "persist", "kind": "step", "status": "completed", "value": "x"}
    return {
        **listed(status=status),
        "data": {"title": "x"},
        "result": {"ok": True} if status == "completed" else None,
        "error": error,
        "steps": [step | {"startedAt": 1_764_154_800_200, "endedAt": 1_764_154_800_700}],
        "attempts": list(attempts),
    }


@pytest.fixture
def page(network):
    both = [listed(), listed(OTHER, "failed", ERROR)]
    return network.get(url__startswith=f"{RUNS}?").mock(
        return_value=answer({"runs": both, "next": None})
    )


def test_the_sites_runs_are_listed(kit, page):
    said = kit("runs", "--status", "failed", "--status", "completed")

    assert said.status == 0
    assert [line.split()[:3] for line in said.out.splitlines()[1:]] == [
        [ID, "publish-draft", "completed"],
        [OTHER, "publish-draft", "failed"],
    ]
    assert "ValueError: bad" in said.out
    assert page.calls.last.request.url.params["status"] == "failed,completed"
    assert [each["id"] for each in kit("runs", "--json").json] == [ID, OTHER]


def test_those_kept_here_are_listed_where_they_are_asked_for(kit, network):
    assert "no runs yet" in kit("runs", "--local").err
    assert len(network.calls) == 0


def test_a_run_is_shown_with_its_steps_attempts_and_times(kit, network, page):
    attempt = {"number": 0, "endedAt": 1_764_154_800_300, "error": ERROR, "retryIn": 5000}
    network.get(f"{RUNS}/{ID}").mock(return_value=answer(shown(attempts=[attempt])))

    said = kit("runs", "show", ID[:8])

    assert said.status == 0
    for part in (ID, "publish-draft", "persist", "500 ms", "tried again after", "ValueError: bad"):
        assert part in said.out
    assert kit("runs", "show", ID, "--json").json["steps"][0]["id"] == "persist"


def test_a_result_is_printed_and_what_has_none_says_why(kit, network):
    route = network.get(f"{RUNS}/{ID}")
    route.mock(return_value=answer(shown()))
    said = kit("runs", "result", ID)
    assert (said.status, said.json) == (0, {"ok": True})
    route.mock(return_value=answer(shown("failed", ERROR)))
    said = kit("runs", "result", ID)
    assert said.status == 1
    assert "failed: ValueError: bad" in said.err


def test_a_run_is_stopped_and_tried_again(kit, network):
    known = {"id": ID, "workflow": "w", "status": "sleeping", "result": None, "error": None}
    network.get(f"{RUNS}/{ID}/result").side_effect = [
        answer(known),
        answer(known | {"status": "cancelled"}),
    ]
    network.post(f"{RUNS}/{ID}/stop").mock(return_value=answer(known))
    retry = network.post(f"{RUNS}/{ID}/retry").mock(return_value=answer(known, 202))

    assert f"asked {SITE} to stop" in kit("runs", "stop", ID).err
    assert "had already ended" in kit("runs", "stop", ID).err
    assert "queued again" in kit("runs", "retry", ID, "--from-start").err
    assert json.loads(retry.calls.last.request.content) == {"fromStart": True}
    retry.mock(return_value=refusal(409, "RUN_NOT_ENDED"))
    said = kit("runs", "retry", ID)
    assert (said.status, "has not ended" in said.err) == (1, True)
    assert kit("runs", "retry", ID, "--fast").status == 2


def test_deleting_there_asks_first(kit, network, page):
    gone = network.delete(url__startswith=RUNS).mock(return_value=answer({"deleted": [ID]}))

    assert kit("runs", "delete", ID, stdin=b"n\n").status == 1
    assert gone.call_count == 0
    assert kit("runs", "delete", ID, "--yes").status == 0
    assert kit("runs", "delete", "--all", "--yes", "--json").json == {"deleted": [ID, OTHER]}
    assert page.calls.last.request.url.params["status"] == "completed,failed,cancelled"
    assert kit("runs", "delete", "--older-than", "19000d", "--yes", "--json").json == {
        "deleted": []
    }


def test_an_unknown_run_is_used_wrongly(kit, network, page):
    network.get(f"{RUNS}/{ID}").mock(return_value=refusal(404, "RUN_NOT_FOUND"))
    assert kit("runs", "show", ID).status == 2
    said = kit("runs", "show", "zzz")
    assert (said.status, "--local" in said.err) == (2, True)


def test_a_site_without_the_api_says_how_to_have_it(kit, network):
    network.get(url__startswith=RUNS).respond(404, text="Not Found")
    said = kit("runs")
    assert said.status == 1
    assert "store: blobs" in said.err
    assert "s3cret" not in said.err


def test_what_a_site_tells_does_nothing_to_a_terminal(kit, network, page):
    error = ERROR | {"message": "\x1b[2J\nbad", "traceback": "Trace\x1b[5m\nback"}
    run = shown("failed", error) | {"workflow": "w\x1b]0;x\x07"}
    network.get(f"{RUNS}/{ID}").mock(return_value=answer(run))
    page.mock(return_value=answer({"runs": [run], "next": None}))
    for command in ([], ["show", ID], ["result", ID]):
        said = kit("runs", *command)
        assert not {"\x1b", "\x07"} & set(said.out + said.err)
    assert "Trace\\x1b[5m\nback" in said.err
