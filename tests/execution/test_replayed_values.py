"""A handler sees the same value live and after a replay, and all that a step returned or none."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
)

from tests.support.examples import examples

from .shapes import (
    BERLIN,
    DAY,
    KEY,
    SECOND_HALF_PAST_TWO,
    UNSTATED,
    Bare,
    BareData,
    Bearer,
    Derived,
    Filled,
    Foot,
    Foothold,
    Level,
    Loaded,
    Many,
    Metre,
    Moment,
    Money,
    Named,
    Open,
    Order,
    Pin,
    Point,
    Renamed,
    Right,
    Size,
    Starred,
    asked,
    having,
    seen_of,
)


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize(
    ("value", "annotation", "form"),
    [
        (having(Order(1), total=5), UNSTATED, {"price": 1, "total": 5}),
        (asked(Derived(1), "half"), Derived, Derived(1)),
        (Order(1), Order, Order(1)),
        (Open(a=1, b=2), Open, Open(a=1, b=2)),
        (Metre(length=1), Metre | Foot, Metre(length=1)),
        (Metre(length=1), Metre | Foothold, Metre(length=1)),
        (Foothold(length=1), Metre | Foothold, Foothold(length=1, grip=0)),
        ({"length": 1}, Metre | Level, Metre(length=1)),
        ("2026-01-02", date | int, DAY),
        (DAY, date | int, DAY),
        ("2026-01-02", date | str, "2026-01-02"),
        ({"at": DAY, "it": Bare()}, dict[str, Any] | str, {"at": "2026-01-02", "it": {}}),
        ((1, 2), Sequence[int], [1, 2]),
        (Many(each=(1, 2)), Many, Many(each=[1, 2])),
        ({KEY: KEY}, dict[UUID, UUID | int], {KEY: KEY}),
        (Bare(), Bare, Bare()),
        (BareData(), BareData, BareData()),
        (Bearer(bare=Bare()), Bearer, Bearer(bare=Bare())),
        (Filled(x=1), dict[str, Any] | None, {"x": 1}),
        (Starred(a="x"), UNSTATED, {"a": "*"}),
        (Named(a=1), UNSTATED, {"a": 1}),
        (Pin(1, 2), UNSTATED, [1, 2]),
        (Point(1, 2), Point, Point(1, 2)),
        (Level.LEAST, Level, Level.LOW),
        (Level.LEAST, UNSTATED, 1),
        (Right.READ | Right.WRITE, Right, Right.READ | Right.WRITE),
        (Size.SMALL, UNSTATED, 1),
        (deque([1], maxlen=2), UNSTATED, [1]),
        (deque([1]), deque[int], deque([1])),
        (OrderedDict(b=1, a=2), UNSTATED, {"b": 1, "a": 2}),
        (OrderedDict(b=1, a=2), OrderedDict[str, int], OrderedDict(b=1, a=2)),
        (defaultdict(list, a=[1]), defaultdict[str, list[int]], defaultdict(list, a=[1])),
        (defaultdict(lambda: 5, a=1), UNSTATED, {"a": 1}),
        (Counter("aab"), UNSTATED, {"a": 2, "b": 1}),
        (Counter("aab"), Counter[str], Counter("aab")),
        (SECOND_HALF_PAST_TWO.replace(tzinfo=BERLIN), UNSTATED, "2026-10-25T02:30:00+01:00"),
        (BERLIN, ZoneInfo, BERLIN),
        (-0.0, UNSTATED, -0.0),
        (2**70, UNSTATED, 2**70),
        (Decimal("NaN"), UNSTATED, "NaN"),
        (Fraction(1, 3), Fraction, Fraction(1, 3)),
        (re.compile("(?i)a"), re.Pattern[str], re.compile("(?i)a")),
        ({(1, 2): None}, UNSTATED, {"1,2": None}),
        (bytearray(b"ab"), UNSTATED, "ab"),
        ("\ud800", UNSTATED, "\ud800"),
    ],
)
def test_a_value_is_the_same_live_and_after_a_replay(
    value: Any, annotation: Any, form: Any, replay: Any
) -> None:
    seen, played = seen_of(value, annotation, replay)

    assert played.completed, played.failure
    assert len(seen) >= 2
    assert {repr(each) for each in seen} == {repr(form)}
    assert {type(each) for each in seen} == {type(form)}


def test_a_moment_keeps_its_offset_and_not_the_name_of_its_zone() -> None:
    moment = SECOND_HALF_PAST_TWO.replace(tzinfo=BERLIN)

    seen, _ = seen_of(Moment(at=moment), Moment, "pauses")
    assert {each.at.isoformat() for each in seen} == {"2026-10-25T02:30:00+01:00"}

    seen, _ = seen_of(time(2, 30, tzinfo=UTC), time, "pauses")
    assert {each.isoformat() for each in seen} == {"02:30:00+00:00"}


def test_what_a_class_makes_of_its_fields_is_there_again() -> None:
    seen, played = seen_of(Loaded(a=1), Loaded, "pauses")
    assert played.completed
    assert [each._loaded for each in seen] == [1, 1]

    seen, played = seen_of(Derived(3), Derived, "pauses")
    assert [each.note for each in seen] == ["3 twice", "3 twice"]

    seen, _ = seen_of(Loaded(a=1), UNSTATED, "pauses")
    assert seen == [{"a": 1}, {"a": 1}]

    seen, _ = seen_of(Renamed(firstName="Ada"), UNSTATED, "pauses")
    assert seen == [{"firstName": "Ada"}] * 2


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize(
    "annotation",
    [Iterable[Metre], Iterator[Metre], Generator[Metre, None, None], Awaitable[list[Metre]]],
)
def test_what_is_iterated_over_is_a_list_and_what_is_awaited_is_what_it_comes_to(
    annotation: Any, replay: Any
) -> None:
    seen, _ = seen_of([Metre(length=1)], annotation, replay)

    assert len(seen) >= 2
    assert all(each == [Metre(length=1)] for each in seen)


def test_what_cannot_be_compared_is_taken_as_it_comes() -> None:
    class Odd(list[int]):
        def __ne__(self, other: object) -> bool:
            raise RuntimeError("an array, say")

    class Holds(BaseModel):
        each: set[int]
        odd: Any

    seen, played = seen_of(Holds(each={1}, odd=Odd([1])), Holds, "pauses")
    assert played.completed
    assert seen[0].odd == [1]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


rich = st.one_of(
    st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()),
    st.dates(), st.times(timezones=st.none() | st.just(UTC)), st.timedeltas(), st.uuids(),
    st.decimals(allow_nan=False, allow_infinity=False), st.fractions(), st.binary(),
    st.complex_numbers(allow_nan=False, allow_infinity=False),
    st.sets(st.integers()), st.sampled_from(Level), st.sampled_from(Size),
    st.builds(Order, st.integers()), st.builds(Loaded, a=st.integers()),
    st.builds(Open, a=st.integers(), b=plain), st.builds(Pin, st.integers(), st.integers()),
    st.builds(Money, st.integers(), st.text()), st.builds(deque, st.lists(st.integers())),
    st.just(timezone(timedelta(hours=1))), st.builds(ValueError, st.text()),
)  # fmt: skip


class Holder(BaseModel):
    value: Any
    at: datetime | None = None
    on: date | None = None
    took: timedelta | None = None
    key: UUID | None = None
    share: Decimal | None = None


@settings(max_examples=examples(60))
@given(
    st.one_of(
        st.tuples(plain | rich | st.lists(plain | rich, max_size=3), st.just(UNSTATED)),
        st.tuples(
            st.builds(
                Holder,
                value=plain,
                at=st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()),
                on=st.dates(),
                took=st.timedeltas(),
                key=st.uuids(),
                share=st.decimals(allow_nan=False, allow_infinity=False),
            ),
            st.just(Holder),
        ),
    ),
    st.sampled_from(["pauses", "always"]),
)
def test_whatever_a_step_returns_is_refused_or_always_the_same(
    case: tuple[Any, Any], replay: str
) -> None:
    seen, played = seen_of(*case, replay)

    if played.failure is None:
        assert len(seen) >= 2
        assert len({repr(each) for each in seen}) == 1
        if case[1] is Holder:
            assert seen[0].model_dump_json() == case[0].model_dump_json()
    else:
        assert played.failure.type == "PayloadError"
        assert seen == []
