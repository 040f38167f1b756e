"""Events as the router reads them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.event import derived_id
from kit.model.text import check_travels
from kit.netlify.arrivals import arrivals, as_javascript
from kit.netlify.events import event_to_json

ID = derived_id("x")


def test_what_the_client_sends_is_what_arrives() -> None:
    [event] = arrivals(
        b'[{"eventName":"greet","eventId":"%s","data":{"a":1},"delayUntil":5000,"priority":-3,'
        b'"baseUrl":"http://x","eventChain":["first","Greet"]}]' % ID.encode(),
        now=1000,
    )
    assert event_to_json(event) == {
        "eventName": "greet",
        "eventId": ID,
        "data": {"a": 1},
        "delayUntil": 5000,
        "priority": -3,
        "eventChain": ["first", "greet"],
    }


def test_ids_are_made_only_where_there_is_none() -> None:
    events = arrivals(
        b'[{"eventName":"a"},{"eventName":"a","eventId":"7"},{"eventName":"a","eventId":7}]',
        0,
        lambda: ID,
    )
    assert [event.id for event in events] == [
        ID,
        derived_id("event", "7"),
        derived_id("event", "7"),
    ]


@pytest.mark.parametrize(
    ("given", "due"),
    [(1200, None), (1201, 1201), (1201.5, 1201), ("5", None), (True, None), (1e300, 864 * 10**13)],
)
def test_a_moment_counts_if_it_is_a_number_and_ahead(given: Any, due: int | None) -> None:
    body = json.dumps({"eventName": "a", "delayUntil": given}).encode()
    assert arrivals(body, now=1000)[0].due == due


@pytest.mark.parametrize(("given", "priority"), [(99, 50), (-99.5, -50), ("7", 0), (True, 0)])
def test_priorities_stay_within_bounds(given: Any, priority: int) -> None:
    body = json.dumps({"eventName": "a", "priority": given}).encode()
    assert arrivals(body, 0)[0].priority == priority


@pytest.mark.parametrize("chain", ["x", [1], None, {}])
def test_a_chain_that_is_none_is_forgotten(chain: Any) -> None:
    body = json.dumps({"eventName": "a", "eventChain": chain}).encode()
    assert arrivals(body, 0)[0].chain == ()


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("1.0", "1"),
        ("-0.0", "0"),
        ("1e400", "null"),
        ("9007199254740993", "9007199254740992.0"),
        ('{"b":1,"10":2,"9":3,"01":4}', '{"9":3,"10":2,"b":1,"01":4}'),
        ('"\\ud800"', '"\\ufffd"'),
        ('{"a":1,"a":2}', '{"a":2}'),
        ("[true,null,1.5]", "[true,null,1.5]"),
        ("1" + "0" * 400, "null"),
    ],
)
def test_values_come_out_as_javascript_leaves_them(text: str, becomes: str) -> None:
    assert json.dumps(as_javascript(json.loads(text)), separators=(",", ":")) == becomes


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=15,
    )
)
def test_whatever_arrives_travels_on(value: Any) -> None:
    once = as_javascript(_without_nan(value))
    check_travels(once)
    assert as_javascript(once) == once


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return value


@pytest.mark.parametrize("field", ["data", "eventId", "more"])
@pytest.mark.parametrize("depth", [257, 480, 900, 100_000])
def test_what_is_nested_too_deeply_is_refused_in_words_however_deep(depth: int, field: str) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(ValueError, match="nested more than 256 deep"):
        arrivals(b'[{"eventName":"a","%s":%s}]' % (field.encode(), deep), 0)


def test_what_is_nested_as_deep_as_may_be_sent_arrives() -> None:
    [event] = arrivals(b'{"eventName":"a","data":%s}' % (b"[" * 256 + b"]" * 256), 0)
    assert len(str(event.data)) == 512
