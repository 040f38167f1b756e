"""The socket's protocol: what Node says becomes records, what Python says becomes lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.deploy.function import protocol
from kit.deploy.function.protocol import Body, Gone, Invoke, Prepare, Request, Took
from kit.model.errors import PayloadError
from kit.model.text import MAX_DEPTH

ID = "11111111-1111-4111-8111-111111111111"
ITEM = {"eventName": "w", "eventId": ID}


def line(**frame: Any) -> bytes:
    return json.dumps(frame).encode()


def test_an_invoke_frame_becomes_a_call():
    text = line(
        type="invoke", call=3, workflow="w", event=ITEM, env={"A": "1"}, unset=["B"], timeLeft=2.5
    )

    assert protocol.decode(text) == Invoke(3, {"A": "1"}, ("B",), 2.5, "w", ITEM, len(text))


def test_a_request_frame_becomes_a_call():
    head = {"method": "GET", "url": "https://a/b", "headers": [["x", "1"], ["x", "2"]]}

    decoded = protocol.decode(
        line(type="request", call=1, function="f", params=None, hasBody=True, client="::1", **head)
    )

    headers = (("x", "1"), ("x", "2"))
    assert decoded == Request(
        1, {}, (), None, "f", "GET", "https://a/b", headers, {}, has_body=True, client="::1"
    )


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (line(type="body", call=1, data="AP8="), Body(1, b"\x00\xff")),
        (line(type="bodyEnd", call=1), Body(1, is_last=True)),
        (line(type="took", call=1), Took(1)),
        (line(type="gone", call=1), Gone(1)),
        (line(type="prepare", workflow="w"), Prepare("w")),
    ],
)
def test_other_frames_are_small(text: bytes, record: object):
    assert protocol.decode(text) == record


def test_a_frame_of_another_version_is_refused():
    with pytest.raises(ValueError, match="no frame of type 'dance'"):
        protocol.decode(line(type="dance", call=1))


def test_the_environment_stays_out_of_a_repr():
    assert "hidden" not in repr(Invoke(1, {"AWL_API_KEY": "hidden"}, workflow="w"))


@given(st.text(), st.dictionaries(st.text(), st.integers()))
def test_a_frame_is_one_line_whatever_is_in_it(text: str, data: dict[str, int]):
    encoded = protocol.encode({"type": "log", "text": text, "data": data})

    assert encoded.count(b"\n") == 1
    assert encoded.endswith(b"\n")
    assert json.loads(encoded) == {"type": "log", "text": text, "data": data}


def nested(levels: int) -> bytes:
    deep = b"[" * levels + b"]" * levels
    return b'{"type":"invoke","call":7,"workflow":"w","event":{"data":' + deep + b"}}"


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 3_000, 200_000])
def test_an_event_nested_too_deeply_is_refused_in_words(levels: int):
    with pytest.raises(PayloadError, match=f"nested more than {MAX_DEPTH} deep"):
        protocol.decode(nested(levels))


def test_an_event_nested_as_deep_as_it_may_be_sent_arrives():
    assert isinstance(protocol.decode(nested(MAX_DEPTH)), Invoke)


def test_many_values_side_by_side_are_not_deep():
    event = {"data": [[n, {}] for n in range(10_000)]}

    decoded = protocol.decode(line(type="invoke", call=7, workflow="w", event=event))

    assert isinstance(decoded, Invoke)
    assert decoded.item == event


@pytest.mark.parametrize("data", [None, 7, "text", True])
def test_a_plain_value_is_not_deep_whatever_else_there_is_in_the_line(data: Any):
    event = {"data": data}
    run = {"steps": [[] for _ in range(MAX_DEPTH + 1)]}

    decoded = protocol.decode(line(type="invoke", call=7, workflow="w", event=event, run=run))

    assert isinstance(decoded, Invoke)
    assert decoded.item == event


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b'{"type":"invoke","call":12,"timeLeft":1,"event":{{', 12),
        (b'{"type":"request","call":3}', 3),
        (b'{"type":"prepare","workflow":"w"}', None),
        (b"{", None),
        (b"", None),
    ],
)
def test_the_call_of_a_line_that_cannot_be_read_is_known(text: bytes, number: int | None):
    assert protocol.call_of(text) == number
