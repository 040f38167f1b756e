"""What would be lost on the way into a store is refused, or said."""

from __future__ import annotations

import logging
import re
from collections import defaultdict, deque
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    PlainSerializer,
    StringConstraints,
)

from .shapes import (
    BERLIN,
    DAY,
    KEY,
    MIDNIGHT,
    SECOND_HALF_PAST_TWO,
    UNSTATED,
    Bare,
    BareData,
    Bearer,
    Derived,
    Either,
    Exact,
    Filled,
    FilledData,
    Foot,
    Foothold,
    Level,
    Loaded,
    Metre,
    Money,
    Named,
    Order,
    Other,
    Picky,
    Pin,
    Shouted,
    Starred,
    Tag,
    Taxed,
    Weight,
    Window,
    having,
    seen_of,
)


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize(
    ("value", "annotation", "said"),
    [
        (having(Order(1), total=5), Order, "at '.total' is 5, and would be 0 after a replay"),
        ([having(Order(1), total=5)], list[Order], "at '[0].total' is 5"),
        (having(Derived(1), total=7), Derived, "at '.total' is 7, and would be 2"),
        (having(Derived(1), more=7), Derived, "at '.more' is 7, and would be None"),
        (having(Order(1), more=7), UNSTATED, "is an Order with the attribute 'more', which is no"),
        (Taxed(2.0), Taxed, "at '.price' is 4.0, and would be 8.0 after a replay"),
        (Exact(2**60 + 1), Exact, "at '.share' is 1152921504606846977, and would be"),
        (having(Loaded(a=1), _loaded=5), Loaded, "has the private attribute '_loaded', which"),
        (having(Loaded(a=1), _loaded=5), UNSTATED, "with private attributes (_loaded), which"),
        (having(Picky(firstName="a"), _shout="A"), UNSTATED, "with private attributes (_shout)"),
        (Shouted(a="x"), Shouted, "at '.a' is 'x!', and would be 'x!!' after a replay"),
        (Starred(a="x"), Starred, "at '.a' is 'x', and would be '*' after a replay"),
        (Foot(length=1), Metre | Foot, "is a Foot, and would be a Metre after a replay"),
        (
            Filled(x=1),
            Bare,
            "is a Filled, and its annotation says Bare, which has no 'x'; annotate",
        ),
        (Filled(x=1), BaseModel, "annotate the step's function with -> Filled"),
        ([Filled(x=1)], list[Bare], "at '[0]' is a Filled, and its annotation says Bare"),
        ({"a": Filled(x=1)}, dict[str, BaseModel], "at '.a' is a Filled, and its annotation says"),
        (Bearer(bare=Filled(x=1)), Bearer, "has no 'x'; annotate that field with Filled"),
        (Other(x=4), Bare, "is an Other, and its annotation says Bare, which has no 'x'"),
        (Bare(), Other, "is a Bare, and would be an Other after a replay"),
        (FilledData(5), BareData, "is a FilledData, and its annotation says BareData, which has"),
        (Metre(length=1), Foothold | Metre, "is a Metre, and would be a Foothold after a replay"),
        (DAY, datetime | date, "is a date, and would be a datetime after a replay: its annotation"),
        (MIDNIGHT, date | datetime, "Annotate the step's function with what it is (datetime)"),
        (KEY, str | UUID, "is a UUID, and would be a str after a replay: its annotation allows"),
        ([KEY], list[str | UUID], "at '[0]' is a UUID, and would be a str"),
        ({KEY}, set[str | UUID], "and would be {'00000000-0000-0000-0000-000000000001'}"),
        (Either(key=KEY), Either, "at '.key' is a UUID, and would be a str after a replay"),
        (Decimal("0.1"), float | Decimal, "is a Decimal, and would be a float after a replay"),
        (b"a", str | bytes, "is a bytes, and would be a str after a replay"),
        ((1, 2), list[int] | tuple[int, int], "is a tuple, and would be a list after a replay"),
        ({1}, list[int] | set[int], "is a set, and would be a list after a replay"),
        (Level.LOW, int | Level, "is a Level, and would be an int after a replay"),
        (Fraction(1, 3), str | Fraction, "is a Fraction, and would be a str after a replay"),
        (Metre(length=1), dict[str, int] | Metre, "is a Metre, and would be a dict after a replay"),
        (3, Annotated[int, AfterValidator(lambda v: v + 1)], "is 3, and would be 4 after a replay"),
        ([3], list[Annotated[int, PlainSerializer(lambda v: v * 2)]], "at '[0]' is 3, and would"),
        (
            " x",
            Annotated[str, StringConstraints(strip_whitespace=True)],
            "Let its annotation leave",
        ),
        ([1, 1], Annotated[list[int], AfterValidator(lambda v: v[1:])], "is [1, 1], and would be"),
        (Money(5, "EUR"), UNSTATED, "Money with the attribute 'currency', of which only the int"),
        (Money(5, "EUR"), Money, "return that int alone, or a model or dataclass with a field"),
        ({"sum": [Money(5, "EUR")]}, UNSTATED, "at '.sum[0]' is a Money with"),
        (Weight(1.5, "kg"), UNSTATED, "is a Weight with the attribute '_unit'"),
        (having(Tag("x"), place="left"), UNSTATED, "is a Tag with the attribute 'place'"),
        (having(Named(a=1), source="s"), UNSTATED, "is a Named with the attribute 'source'"),
        (having(Pin(1, 2), name="home"), UNSTATED, "is a Pin with the attribute 'name'"),
        (having(Pin(1, 2), name="home"), Pin, "at '.name' is 'home', and would be None"),
        (deque([1], maxlen=2), deque[int], "is deque([1], maxlen=2), and would be deque([1])"),
        (Window(last=deque([1], maxlen=2)), Window, "at '.last' is deque([1], maxlen=2)"),
        (defaultdict(int, a=[1]), defaultdict[str, list[int]], "would be defaultdict(<class 'list"),
        (time(2, 30, tzinfo=BERLIN), time, "is a time in Europe/Berlin, which JSON does not keep"),
        (datetime(1800, 1, 1, tzinfo=BERLIN), UNSTATED, "is a datetime that is 0:53:28 from UTC"),
        (re.compile("a", re.IGNORECASE), re.Pattern[str], "is a Pattern with flags, which JSON"),
        (ValueError("x"), UNSTATED, "cannot be stored: Unable to serialize unknown type"),
        (BERLIN, UNSTATED, "cannot be stored: Unable to serialize unknown type"),
        (b"\xff", UNSTATED, "cannot be stored: 'utf-8' codec can't decode"),
        ({(1, 2): 3}, dict[tuple[int, int], int], "That is what its annotation makes of the JSON"),
    ],
)
def test_what_would_be_lost_is_refused_once_and_says_what(
    value: Any, annotation: Any, said: str, replay: Any
) -> None:
    seen, played = seen_of(value, annotation, replay)

    assert seen == []
    assert played.failure is not None
    assert played.failure.type == "PayloadError"
    assert said in played.failure.message
    assert played.steps == ["fetch"]


@pytest.mark.parametrize("annotation", [UNSTATED, datetime])
def test_a_local_time_that_comes_twice_is_kept_without_its_fold_and_that_is_said(
    annotation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kit"):
        seen, played = seen_of(SECOND_HALF_PAST_TWO, annotation, "pauses")

    assert played.completed
    assert len({repr(each) for each in seen}) == 1
    assert [each.getMessage()[:52] for each in caplog.records] == [
        "the value of step 'fetch' holds a time with fold=1 a"
    ]
