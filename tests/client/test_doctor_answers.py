"""What a site says when the doctor asks: whether that is well, and what to do."""

import pytest
from pydantic import SecretStr

from kit.client.doctor import (
    check_management,
    check_router,
    check_runs,
)
from kit.netlify.responses import NoResponse, Response
from kit.netlify.site import Site

TARGET = Site("https://site.example", SecretStr("s3cret-key"))
EMPTY = Response(400, {"x-awl-reason": "body contained no valid events to process"})
BODYLESS = Response(400, {"x-awl-reason": "missing valid JSON body"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (EMPTY, {"router": True, "key accepted": True}),
        (Response(401, {"x-awl-reason": "x"}), {"router": True, "key accepted": False}),
        (Response(401, {}), {"router": False}),
        (Response(404, {}), {"router": False}),
        (Response(200, {"content-type": "text/html"}), {"router": False}),
        (NoResponse("no", may_have_arrived=False), {"router": False}),
    ],
)
def test_the_routers_answer_tells_whether_it_is_there_and_takes_the_key(answer, expected):
    assert {each.name: each.ok for each in check_router(answer, TARGET)} == expected


@pytest.mark.parametrize(
    ("answer", "ok", "words"),
    [
        (BODYLESS, True, "present"),
        (Response(404, {}), False, "no Async Workloads router (404)"),
        (Response(204, {}), False, "not as Async Workloads"),
        (NoResponse("no", may_have_arrived=False), False, "no"),
    ],
)
def test_the_management_apis_answer_tells_whether_it_is_there(answer, ok, words):
    check = check_management(answer, TARGET)

    assert check.ok is ok
    assert words in check.why


UNAUTHORIZED = '{"error": {"code": "UNAUTHORIZED", "message": "the key is missing or wrong"}}'


@pytest.mark.parametrize(
    ("answer", "is_needed", "ok", "said"),
    [
        (Response(404, {}), False, None, "none (it answered 404)"),
        (Response(404, {}), True, False, "none (it answered 404)"),
        (Response(200, {"x-kit-runs": "9"}, "{}"), False, False, "version 9"),
        (Response(200, {"x-kit-runs": "1"}, '{"runs": [], "next": null}'), True, True, "version 1"),
        (Response(200, {"x-kit-runs": "1"}, "{}"), True, False, "deploy the site again"),
        (Response(200, {"x-kit-runs": "1"}, "<html>"), True, False, "200 without a reason"),
        (Response(503, {"x-kit-runs": "1"}, "{}"), True, False, "did not tell of its runs"),
        (Response(401, {"x-kit-runs": "1"}, UNAUTHORIZED), True, False, "Set WORKFLOW_API_KEY"),
        (NoResponse("the connection broke", False), True, False, "the connection broke"),
    ],
)
def test_the_runs_api_is_looked_for_and_its_version(answer, is_needed, ok, said):
    check = check_runs(answer, TARGET, is_needed=is_needed)

    assert check.ok is ok
    assert said in check.why
    assert ok or check.todo
