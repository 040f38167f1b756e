"""What answers mean, in words that never hold the key."""

import pytest
from pydantic import SecretStr

from kit.netlify.responses import Response, meaning_of
from kit.netlify.site import Site

KEY = "s3cret-key"
TARGET = Site("https://site.example", SecretStr(KEY))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "kit doctor"),
        (401, "API key was refused"),
        (403, "password or firewall"),
        (404, "Install Async Workloads"),
        (413, "Send less data"),
        (429, "too many requests"),
        (500, "function log"),
        (503, "try again later"),
        (508, "break the circle"),
        (418, "Check workflow.baseUrl"),
        (299, "but not as Async Workloads does"),
    ],
)
def test_each_answer_says_what_to_do(status, words):
    assert words in meaning_of(Response(status, {}), TARGET)


def test_a_key_that_was_never_set_is_not_called_wrong():
    meaning = meaning_of(Response(401, {"x-awl-reason": "invalid API key"}), Site("https://x.y"))

    assert "none is set. Set WORKFLOW_API_KEY" in meaning


def test_the_routers_own_reason_is_passed_on():
    assert "(it says: bad)" in meaning_of(Response(400, {"x-awl-reason": "bad"}), TARGET)
    assert "says: odd" in meaning_of(Response(409, {"x-awl-reason": "odd"}), TARGET)


def test_a_page_in_the_routers_place_is_recognised():
    meaning = meaning_of(Response(200, {"content-type": "text/html; charset=utf-8"}, "<p>"), TARGET)

    assert "answered 200 (text/html), but not as Async Workloads does" in meaning


def test_a_site_without_workflows_is_recognised():
    reason = {"x-awl-reason": "no workloads configured to use this event"}

    assert "no workflows at all" in meaning_of(Response(200, reason), TARGET)


def test_a_redirect_names_where_to():
    meaning = meaning_of(Response(301, {"location": "https://www.site.example/x"}), TARGET)

    assert "redirects (301) to https://www.site.example/x" in meaning
    assert "hand on the key" in meaning
    assert "to elsewhere" in meaning_of(Response(302, {}), TARGET)


@pytest.mark.parametrize("status", [200, 302, 400, 418, 500])
def test_a_key_that_an_answer_repeats_is_left_out(status):
    told = f"authorization: Bearer {KEY}"
    headers = {"x-awl-reason": told, "location": f"https://x/?k={KEY}", "content-type": told}

    meaning = meaning_of(Response(status, headers, told), TARGET)

    assert KEY not in meaning


def test_what_comes_from_outside_is_cut_and_printable():
    text = "<html>\n\x1b[31m" + "very long " * 1000
    meaning = meaning_of(Response(500, {}, text), TARGET)

    assert len(meaning) < 400
    assert meaning.isprintable()
    assert "nothing else" in meaning_of(Response(500, {}, " \n"), TARGET)
