"""Events as Async Workloads takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.errors import PayloadError
from kit.model.event import Event
from kit.netlify.events import event_to_json, event_to_text

ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


def test_an_event_leaves_out_what_was_not_given_but_for_its_data() -> None:
    assert event_to_json(Event(name="publish-draft", data=None, id=ID)) == {
        "eventName": "publish-draft",
        "eventId": ID,
        "data": None,
        "eventChain": ["publish-draft"],
    }


def test_an_event_ends_its_own_chain() -> None:
    event = Event(name="c", data={"a": 1}, id=ID, due=5, priority=-3, chain=("a", "b"))

    assert event_to_json(event, base_url="https://x.example") == {
        "eventName": "c",
        "eventId": ID,
        "data": {"a": 1},
        "delayUntil": 5,
        "priority": -3,
        "baseUrl": "https://x.example",
        "eventChain": ["a", "b", "c"],
    }
    assert event.chain == ("a", "b")


def test_falsy_data_is_data() -> None:
    assert event_to_json(Event(name="a", data=0, id=ID))["data"] == 0


names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
data = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"{:'), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(names | st.just('"data":null'), data, st.lists(names, max_size=3))
def test_the_text_of_an_event_is_its_json(name: str, data: Any, chain: list[str]) -> None:
    event = Event(name, data, ID, due=7, priority=3, chain=tuple(chain))
    expected = event_to_json(event, base_url="https://x.example")
    assert json.loads(event_to_text(event, base_url="https://x.example")) == expected


def test_data_that_was_encoded_already_goes_as_it_is() -> None:
    event = Event("a", {"n": 1.0}, ID, text='{"n":1.0e0}')
    assert '"data":{"n":1.0e0},' in event_to_text(event)


def test_data_that_would_not_arrive_unchanged_is_refused() -> None:
    with pytest.raises(PayloadError, match=r"the data of event 'a' at '\.n' is"):
        event_to_text(Event("a", {"n": 2**60}, ID))
