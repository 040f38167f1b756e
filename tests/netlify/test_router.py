"""What is sent, and how it is grouped: flows, driven by hand."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kit.model.errors import PayloadError
from kit.model.event import Event, derived_id
from kit.netlify.responses import Response
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
from tests.support.flows import (
    ACK,
    KEY,
    NOW,
    TARGET,
    carry_out,
    event,
    parcel,
)


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
