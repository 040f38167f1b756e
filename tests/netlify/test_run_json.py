"""A site may answer anything: what has not the form of a run is said, with its place."""

import json

import httpx
import pytest

from kit.model.errors import WorkflowError
from kit.netlify.responses import Response
from kit.netlify.run_json import details_of, run_of
from kit.netlify.runs import RunsApi, read_page, understood
from kit.netlify.site import Site
from kit.netlify.transport import Transport

ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"
ERROR = {"type": "E", "message": "m", "traceback": "", "stepId": None, "code": None}
STEP = {"id": "s", "kind": "step", "status": "completed", "startedAt": 1, "endedAt": 2, "value": 1}
ATTEMPT = {"number": 0, "endedAt": 1, "error": ERROR, "retryIn": None}
RUN = {
    "id": ID,
    "workflow": "w",
    "status": "failed",
    "attempt": 0,
    "createdAt": 1,
    "startedAt": None,
    "endedAt": 2,
    "dueAt": None,
    "priority": 0,
    "data": None,
    "result": None,
    "error": ERROR,
    "steps": [STEP],
    "attempts": [ATTEMPT],
}
TOLD = '{"error": {"code": "X", "message": "y"}}'
API = RunsApi(Site("https://site.example"), retries=0)


@pytest.fixture
def ask():
    """Carry out a flow at a site that answers with a text, or several."""

    def ask(flow, *texts):
        answers = iter(texts)

        def answer(request):
            return httpx.Response(200, headers={"x-kit-runs": "1"}, text=next(answers))

        return Transport(transport=httpx.MockTransport(answer)).carry_out(flow)

    return ask


def test_what_has_the_form_is_a_run(ask):
    found = details_of(ask(API.show(ID), json.dumps(RUN)))
    assert (found.run.workflow, found.steps, len(found.attempts)) == ("w", ("s",), 1)
    assert run_of(ask(API.result(ID), json.dumps(RUN))).status == "failed"
    unknown = json.dumps(RUN | {"status": "of a later version"})
    assert run_of(ask(API.show(ID), unknown)).status == "unknown"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"id": 5}, "id"),
        ({"workflow": None}, "workflow"),
        ({"status": 5}, "status"),
        ({"attempt": True}, "attempt"),
        ({"createdAt": "1"}, "createdAt"),
        ({"createdAt": 10**17}, "createdAt"),
        ({"createdAt": 1.5}, "createdAt"),
        ({"endedAt": []}, "endedAt"),
        ({"error": "E"}, "error"),
        ({"error": {}}, "error.type"),
        ({"steps": None}, "steps"),
        ({"steps": [5]}, "steps[0]"),
        ({"steps": [STEP, STEP | {"kind": "of a later version"}]}, "steps[1].kind"),
        ({"steps": [STEP | {"id": None}]}, "steps[0].id"),
        ({"attempts": [{}]}, "attempts[0].number"),
        ({"attempts": [ATTEMPT | {"error": None}]}, "attempts[0].error"),
    ],
)
def test_what_has_it_not_is_said_with_its_place(ask, change, place):
    with pytest.raises(WorkflowError, match="what this version cannot read") as caught:
        ask(API.show(ID), json.dumps(RUN | change))
    assert f"({place} is" in caught.value.message
    assert caught.value.code == "SITE_ANSWER"


@pytest.mark.parametrize(
    ("status", "version", "text", "code", "said"),
    [
        (200, "1", "<html>", "SITE_ANSWER", "answered 200 without a reason; deploy the site again"),
        (
            200,
            "2",
            "[]",
            "SITE_ANSWER",
            "version 2 of the API, and version 1 is spoken",
        ),
        (
            200,
            "2",
            "{}",
            "SITE_ANSWER",
            "version 2 of the API, and version 1 is spoken",
        ),
        (
            301,
            "1",
            '{"error": {"code": "X", "message": "y"}}',
            "SITE_ANSWER",
            "301 without a reason",
        ),
        (
            404,
            "1",
            '{"error": {"code": 5, "message": null}}',
            "SITE_ANSWER",
            "404 without a reason",
        ),
        (404, "\x1b[2J", "", "SITE_ANSWER", "version ?[2J of the API"),
        (401, "1", '{"error": {"code": "X", "message": {}}}', "SITE_REFUSED", "WORKFLOW_API_KEY"),
        (503, "1", "", "SITE_REFUSED", "did not tell of its runs"),
        (409, "1", TOLD, "X", "y"),
    ],
)
def test_an_odd_answer_says_what_is_odd_and_what_to_do(status, version, text, code, said):
    response = Response(status, {"x-kit-runs": version}, text)
    with pytest.raises(WorkflowError) as caught:
        read_page(understood(response, API.site, "listing runs"), API.site, response)

    assert caught.value.code == code
    assert said in caught.value.message
    assert "None" not in caught.value.message
    assert "kit doctor" not in caught.value.message  # which shows this very message


@pytest.mark.parametrize("text", ["", "null", "[]", "5", "{}", "[" * 100_000, '{"a":' * 50_000])
@pytest.mark.parametrize("flow", ["page", "latest", "show", "known", "result", "stop"])
def test_nothing_that_is_answered_is_a_mistake_of_ours(ask, text, flow):
    asking = getattr(API, flow)
    with pytest.raises(WorkflowError) as caught:
        ask(asking() if flow in ("page", "latest") else asking(ID), text)
    assert caught.value.code == "SITE_ANSWER"


@pytest.mark.parametrize("following", [7, 8, "6", [], 6.5])
def test_pages_come_to_an_end(ask, following):
    first = json.dumps({"runs": [], "next": 7})
    with pytest.raises(WorkflowError, match="next is"):
        ask(API.latest(limit=5), first, json.dumps({"runs": [], "next": following}))
    assert ask(API.latest(limit=5), first, json.dumps({"runs": [], "next": None})) == []
