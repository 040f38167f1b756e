from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.errors import PayloadError
from kit.model.text import MAX_DEPTH, check_travels, decode, dump, dump_checked

HALVES = "\ud83d\ude00"  # two halves in a row, which JSON cannot tell from one character
texts = st.text(st.characters()).filter(lambda text: HALVES[0] not in text or len(text) == 1)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Compare as `==` does, and types and signs of zero as well."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


def unpaired(value: Any) -> bool:
    text = json.dumps(value)
    return bool(json.loads(text) == value)


@given(plain.filter(unpaired))
def test_what_is_dumped_reads_back_exactly(value: Any) -> None:
    text, back = dump_checked(value, "it")
    assert same(back, value)
    assert same(decode(text), value)
    text.encode()  # and survives being written


@pytest.mark.parametrize(
    "value",
    [2**200, -(2**63), 1e308, 5e-324, -0.0, 0.1, "\ud800", {"\udfff": "\ud800"}, "é😀", ""],
)
def test_numbers_and_texts_at_the_edges_are_exact(value: Any) -> None:
    assert same(dump_checked(value, "it")[1], value)


def test_text_is_kept_readable_unless_it_cannot_be_written() -> None:
    assert dump("é") == '"é"'
    assert dump("é\ud800") == '"\\u00e9\\ud800"'


def test_nothing_loads_as_nothing() -> None:
    assert decode(None) is None


def test_tuples_read_back_as_lists() -> None:
    assert dump_checked({"a": (1, (2,))}, "it")[1] == {"a": [1, [2]]}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("shape", [lambda v: [v], lambda v: {"a": v}, lambda v: (1, v, "]")])
def test_what_is_encoded_at_the_depth_limit_is_decoded_on_a_stack_that_is_nearly_full(
    shape: Callable[[Any], Any],
) -> None:
    value = shape(0)
    for _ in range(MAX_DEPTH - 1):
        value = shape(value)
    text = dump(value)
    with pytest.raises(PayloadError, match="nested too deeply"):
        dump(shape(value))

    def deeper(frames: int) -> Any:
        return deeper(frames - 1) if frames else decode(text)

    assert json.dumps(deeper(sys.getrecursionlimit() // 2))


def test_brackets_within_texts_are_no_depth() -> None:
    assert decode(dump(["[{" * 1000] * 300)) == ["[{" * 1000] * 300


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "it is nan, which JSON does not have"),
        ({"a": [1, math.inf]}, r"it at '\.a\[1\]' is inf, which JSON does not have"),
        ({"a": {1: 2}}, r"it at '\.a' has the key 1: JSON has text keys only"),
        ({(1, 2): 2}, r"it has the key \(1, 2\): JSON has text keys only"),
        ([{"x": {3}}], r"it at '\[0\]\.x' is a set, which is not JSON"),
        ((b"x",), r"it at '\[0\]' is a bytes, which is not JSON"),
        ([HALVES], r"it at '\[0\]' holds two halves of a surrogate pair"),
        ({HALVES: 1}, "it holds two halves of a surrogate pair"),
        (circular(), "it contains itself, or is nested too deeply"),
        (nested(200_000), "it contains itself, or is nested too deeply"),
        ([10**5000], "it is not JSON: Exceeds the limit"),
    ],
)
def test_what_json_would_change_is_refused_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(PayloadError, match=f"^{said}"):
        dump(value, "it")


def test_data_nested_too_deeply_is_refused_rather_than_a_crash() -> None:
    refused = []
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit() + 50):
        for value in (nested(depth), (nested(depth), 1)):
            try:
                check_travels(value)
            except PayloadError as error:
                refused.append(error.message)
    assert set(refused) == {"the input contains itself, or is nested too deeply for JSON"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"n": 2**53}, r"the input at '\.n' is 9007199254740992: JavaScript"),
        ([-(2**53)], r"the input at '\[0\]' is -9007199254740992"),
        ("\ud800", "the input holds half a surrogate pair"),
        ({"\udc00": 1}, "the input holds half a surrogate pair"),
        ({"x": math.nan}, r"the input at '\.x' is nan"),
    ],
)
def test_what_javascript_would_change_does_not_travel(value: Any, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        check_travels(value)


def test_what_javascript_keeps_travels() -> None:
    assert check_travels({"n": 2**53 - 1, "é": ["😀", None, True, 1.5, (1,)]})
