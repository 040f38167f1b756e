"""When what is sent is tried again, and what is said where it is given up: flows, by hand."""

from dataclasses import replace

import pytest

from kit.model.errors import ConnectionFailedError, LoopDetectedError, RejectedError
from kit.netlify.flow import HttpRequest, probe_flow, request_flow, retry_after
from kit.netlify.responses import Response
from kit.netlify.router import (
    Acknowledgement,
    packed_flow,
)
from tests.support.flows import (
    ACK,
    BROKEN,
    REFUSED,
    SILENT,
    TARGET,
    carry_out,
    parcel,
    refusal,
)


@pytest.mark.parametrize("status", [200, 204, 298])
def test_a_status_up_to_298_with_the_header_is_an_acknowledgement(status):
    answer = Response(status, {"x-awl-ack": ""})
    [outcome], [request], _ = carry_out(packed_flow([parcel()], TARGET), answer)

    assert outcome == Acknowledgement(parcel().event.id, "publish-draft", status)
    assert request.what == "event 'publish-draft'"


def test_connections_that_fail_are_tried_again_with_the_same_event_and_longer_pauses():
    flow = packed_flow([parcel()], TARGET)
    [outcome], requests, pauses = carry_out(flow, REFUSED, BROKEN, REFUSED, ACK)

    assert outcome.tries == 4
    assert len({request.content for request in requests}) == 1
    assert pauses == [0.2, 0.4, 0.8]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_site_is_tried_again_and_given_up_after_the_last(status):
    busy = Response(status, {})
    error = refusal(busy, busy, busy, busy)

    assert isinstance(error, ConnectionFailedError)
    assert error.status_code == status
    assert error.may_have_arrived is (status in (502, 504))
    assert error.event_id == parcel().event.id
    assert f"({status})" in str(error)
    assert "tried 4 times" in str(error)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, 0.2),
        ({"retry-after": "nan"}, 0.0),
        (
            {
                "retry-after": "Thu, 01 Jan 2026 00:00:09 GMT",
                "date": "Thu, 01 Jan 2026 00:00:04 GMT",
            },
            5.0,
        ),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT"}, 0.0),
        (
            {
                "retry-after": "Thu, 01 Jan 2026 00:00:09 GMT",
                "date": "Thu, 01 Jan 2026 00:00:04 -0000",
            },
            5.0,
        ),
    ],
)
def test_a_busy_site_is_given_the_time_it_asks_for(headers, pause):
    _, _, pauses = carry_out(packed_flow([parcel()], TARGET), Response(503, headers), ACK)

    assert pauses == [pause]


@pytest.mark.parametrize("seconds", ["31", "inf", "86400"])
def test_a_site_that_asks_for_too_much_time_is_given_up(seconds):
    error = refusal(Response(503, {"retry-after": seconds}))
    assert isinstance(error, ConnectionFailedError)
    assert f"asks to be left alone for {seconds} seconds, which was not waited for" in str(error)


def test_a_date_counts_from_the_clock_where_the_answer_has_none():
    request = HttpRequest("POST", "https://site.example/")
    answer = Response(503, {"retry-after": "Thu, 01 Jan 2026 00:00:09 GMT"})
    flow = request_flow(request, TARGET, clock=lambda: 1_767_225_602.0)

    _, _, pauses = carry_out(flow, answer, ACK)

    assert pauses == [7.0]


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2026 99:00:09 GMT", "Thu", "", "tomorrow"])
def test_a_date_that_is_none_is_not_heard(date):
    assert retry_after(Response(503, {"retry-after": date}), 0.0) is None
    assert (
        retry_after(
            Response(503, {"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT", "date": date}), 4.0
        )
        == 5.0
    )


@pytest.mark.parametrize("status", [200, 299, 302, 400, 401, 403, 404, 413, 418, 500, 508])
def test_any_other_answer_is_final(status):
    error = refusal(Response(status, {}))

    assert isinstance(error, LoopDetectedError if status == 508 else RejectedError)
    assert error.provider == "netlify"
    assert error.event_id


def test_a_site_that_never_answers_is_not_asked_twice():
    error = refusal(SILENT)

    assert isinstance(error, ConnectionFailedError)
    assert error.may_have_arrived
    assert "tried once" in str(error)
    assert "may have arrived" in str(error)


def test_it_is_said_whether_the_event_may_have_arrived_in_any_of_the_tries():
    assert not refusal(REFUSED, REFUSED, REFUSED, REFUSED).may_have_arrived
    assert refusal(BROKEN, REFUSED, REFUSED, REFUSED).may_have_arrived
    assert refusal(Response(502, {}), REFUSED, REFUSED, REFUSED).may_have_arrived
    assert "It has not arrived" in str(refusal(REFUSED, REFUSED, REFUSED, REFUSED))


def test_a_probe_asks_once_and_returns_what_came():
    answer, requests, pauses = carry_out(
        probe_flow(HttpRequest("GET", "https://x.example/")), SILENT
    )

    assert answer is SILENT
    assert len(requests) == 1
    assert pauses == []


def test_fewer_tries_can_be_asked_for():
    request = replace(HttpRequest("GET", "https://x.example/"), what="a look")
    with pytest.raises(ConnectionFailedError, match=r"a look was not taken .* tried once"):
        carry_out(request_flow(request, TARGET, retries=0), REFUSED)
