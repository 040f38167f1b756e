"""What is sent, how it is grouped, and when it is tried again: flows, driven by hand."""

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kit.model.errors import ConnectionFailedError, LoopDetectedError, PayloadError, RejectedError
from kit.model.event import Event, derived_id
from kit.netlify.flow import Pause, Request, probe_flow, request_flow, retry_after
from kit.netlify.responses import NoResponse, Response
from kit.netlify.router import (
    MAX_BATCH_BYTES,
    MAX_DELAY_MS,
    Acknowledgement,
    Packed,
    batches,
    events_flow,
    pack,
    packed_flow,
    router_request,
)
from kit.netlify.site import Site

KEY = "s3cret-key"
TARGET = Site("https://site.example", SecretStr(KEY))
ACK = Response(200, {"x-awl-ack": "ack"})
NOW = 1_767_225_600_000
REFUSED = NoResponse("no connection could be made", may_have_arrived=False)
BROKEN = NoResponse("the connection broke", may_have_arrived=True)
SILENT = NoResponse("it did not answer", may_have_arrived=True, timed_out=True)


def event(name="publish-draft", data=None, **more):
    return Event(name, data, derived_id(name, json.dumps(data, default=str)), **more)


def parcel(name="publish-draft", data=None, **more):
    return pack(event(name, data, **more), TARGET, now=NOW)


def carry_out(flow, *answers):
    """Response a flow's requests in turn; return what it returns, its requests and its pauses."""
    left, requests, pauses = list(answers), [], []
    received = None
    try:
        while True:
            wanted = flow.send(received)
            if isinstance(wanted, Pause):
                pauses.append(wanted.seconds)
                received = None
            else:
                requests.append(wanted)
                received = left.pop(0)
    except StopIteration as end:
        assert not left
        return end.value, requests, pauses


def refusal(*answers, target=TARGET):
    [outcome], requests, _ = carry_out(packed_flow([parcel()], target), *answers)
    assert isinstance(outcome, Exception)
    assert len(requests) == len(answers)
    assert KEY not in str(outcome)
    assert str(outcome).count("\n") < 10
    return outcome


def test_a_request_is_what_the_javascript_client_sends():
    # the recording 01-simple of the real client, ids and origin apart
    golden = {
        "path": "/.netlify/functions/async-workloads-router",
        "query": {"events": ['["t.simple"]'], "client-context": ["awl-client"]},
    }
    sent = parcel("t.simple", {"x": 1, "text": "é☃"}, priority=7)

    request = router_request([sent], TARGET)

    parts = urlsplit(request.url)
    assert {"path": parts.path, "query": parse_qs(parts.query)} == golden
    assert request.method == "POST"
    assert request.headers == {"content-type": "text/plain;charset=UTF-8"}
    assert request.key == SecretStr(KEY)
    assert json.loads(request.content) == [
        {
            "eventName": "t.simple",
            "eventId": sent.event.id,
            "data": {"x": 1, "text": "é☃"},
            "priority": 7,
            "baseUrl": "https://site.example",
            "eventChain": ["t.simple"],
        }
    ]
    assert KEY not in repr(request)
    assert KEY not in repr(TARGET)


def test_names_are_encoded_as_javascript_encodes_them():
    request = router_request([parcel("a b/é'(x)!*~&=")], TARGET)

    assert "?events=%5B%22a%20b%2F%C3%A9'(x)!*~%26%3D%22%5D&client-context=" in request.url


def test_a_delay_is_sent_as_an_absolute_time_and_the_chain_with_this_event_last():
    [sent] = json.loads(router_request([parcel(due=NOW + 5, chain=("a", "b"))], TARGET).content)

    assert sent["delayUntil"] == NOW + 5
    assert sent["eventChain"] == ["a", "b", "publish-draft"]
    assert sent["data"] is None
    assert "priority" not in sent


def test_without_a_key_none_is_sent():
    request = router_request([], Site("https://x.example"))
    assert request.key is None
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"a": [1, {"b": 2**53}]}, "a[1].b"),
        ({"a": float("nan")}, "a"),
        ({"a": "\ud800"}, "a"),
        ({"a": object()}, "a"),
        ({1: 2}, "key 1"),
    ],
)
def test_what_javascript_would_change_is_refused_with_its_place(data, place):
    with pytest.raises(PayloadError) as caught:
        pack(Event("w", data, derived_id("x")), TARGET, now=NOW)
    assert place in str(caught.value)


def test_an_event_may_be_as_large_as_netlify_takes_in_bytes_and_no_larger():
    frame = len(pack(event(data=""), TARGET, now=NOW).content)
    assert len(parcel(data="é" * ((MAX_BATCH_BYTES - frame) // 2)).content) <= MAX_BATCH_BYTES
    with pytest.raises(PayloadError, match="500000 at most; store the data"):
        parcel(data="é" * (MAX_BATCH_BYTES // 2))


def test_an_event_due_in_a_year_is_refused():
    assert parcel(due=NOW + MAX_DELAY_MS - 1)
    with pytest.raises(PayloadError, match="365 days: Netlify takes less than a year"):
        parcel(due=NOW + MAX_DELAY_MS)


def test_ten_events_share_a_call():
    groups = list(batches([parcel(data=n) for n in range(23)]))

    assert [len(group) for group in groups] == [10, 10, 3]
    assert [each.event.data for group in groups for each in group] == list(range(23))


@given(st.lists(st.integers(1, MAX_BATCH_BYTES), max_size=40))
def test_groups_keep_order_and_limits_and_are_as_large_as_possible(sizes):
    one = event()
    parcels = [Packed(one, b"x" * size) for size in sizes]
    groups = list(batches(parcels))

    assert [each for group in groups for each in group] == parcels
    for group, following in zip(groups, [*groups[1:], []], strict=False):
        total = sum(len(each.content) for each in group)
        assert 1 <= len(group) <= 10
        assert total <= MAX_BATCH_BYTES
        if following:
            assert len(group) == 10 or total + len(following[0].content) > MAX_BATCH_BYTES


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
    request = Request("POST", "https://site.example/")
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


def test_every_event_of_a_group_that_fails_has_an_error_of_its_own():
    parcels = [parcel("one"), parcel("two")]
    outcomes, _, _ = carry_out(packed_flow(parcels, TARGET), Response(401, {}))

    assert [each.event_id for each in outcomes] == [each.event.id for each in parcels]
    assert outcomes[0] is not outcomes[1]
    assert str(outcomes[1]).startswith("event 'two' was not taken by https://site.example: ")
    assert outcomes[1].message == str(outcomes[1])
    assert outcomes[1].status_code == 401


def test_an_event_that_cannot_be_sent_fails_alone_and_the_order_is_kept():
    events = [event("a", 1), event("b", 2**60), event("c", 3)]
    outcomes, [request], _ = carry_out(events_flow(events, TARGET, now=NOW), ACK)

    assert [each["eventName"] for each in json.loads(request.content)] == ["a", "c"]
    assert [type(each) for each in outcomes] == [Acknowledgement, PayloadError, Acknowledgement]


def test_nothing_to_send_is_not_sent():
    assert carry_out(events_flow([], TARGET, now=NOW)) == ([], [], [])


def test_later_groups_go_although_an_earlier_one_failed():
    events = [event("w", n) for n in range(11)]
    outcomes, requests, _ = carry_out(events_flow(events, TARGET, now=NOW), Response(500, {}), ACK)

    assert len(requests) == 2
    assert [isinstance(each, Acknowledgement) for each in outcomes] == [False] * 10 + [True]


def test_a_probe_asks_once_and_returns_what_came():
    answer, requests, pauses = carry_out(probe_flow(Request("GET", "https://x.example/")), SILENT)

    assert answer is SILENT
    assert len(requests) == 1
    assert pauses == []


def test_fewer_tries_can_be_asked_for():
    request = replace(Request("GET", "https://x.example/"), what="a look")
    with pytest.raises(ConnectionFailedError, match=r"a look was not taken .* tried once"):
        carry_out(request_flow(request, TARGET, retries=0), REFUSED)
