"""A handler sees the same value live and after a replay, and all that a step returned or none."""

from __future__ import annotations

import enum
import logging
import re
import sys
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    StringConstraints,
    field_serializer,
    field_validator,
)

from kit import define_workflow
from kit.execution.context import Context
from kit.execution.returns import adapter_of
from kit.testing import Played, play
from tests.support.examples import examples

BERLIN = ZoneInfo("Europe/Berlin")
SECOND_HALF_PAST_TWO = datetime(2026, 10, 25, 2, 30, fold=1)  # noqa: DTZ001 - it is local
UNSTATED = object()
DAY = date(2026, 1, 2)
MIDNIGHT = datetime(2026, 1, 2)  # noqa: DTZ001 - it is local
KEY = UUID(int=1)


@dataclass
class Order:
    price: int
    total: int = field(init=False, default=0)


@dataclass
class Derived:
    price: int
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.price * 2
        self.note = f"{self.price} twice"  # no field of it, but made again

    @cached_property
    def half(self) -> float:
        return self.price / 2


@dataclass
class Taxed:
    price: float

    def __post_init__(self) -> None:
        self.price *= 2


@dataclass
class Exact:
    share: float


class Loaded(BaseModel):
    a: int
    _loaded: int = PrivateAttr(default=0)
    _lock: object = PrivateAttr(default_factory=object)

    def model_post_init(self, context: Any) -> None:
        self._loaded = self.a


class Renamed(BaseModel):
    first_name: str = Field(alias="firstName")
    _shout: str = PrivateAttr(default="")

    def model_post_init(self, context: Any) -> None:
        self._shout = self.first_name.upper()


class Picky(BaseModel):
    first_name: str = Field(validation_alias="firstName", serialization_alias="FirstName")
    _shout: str = PrivateAttr(default="")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Shouted(BaseModel):
    a: str

    @field_validator("a")
    @classmethod
    def shout(cls, a: str) -> str:
        return f"{a}!"


class Starred(BaseModel):
    a: str

    @field_serializer("a")
    def star(self, a: str) -> str:
        return "*"


class Metre(BaseModel):
    length: int


class Foot(BaseModel):
    length: int


class Foothold(Metre):
    grip: int = 0


class Either(BaseModel):
    key: str | UUID


class Many(BaseModel):
    each: Sequence[int]
    other: int | str = 0


class Bare(BaseModel):
    pass


class Filled(Bare):
    x: int


class Bearer(BaseModel):
    bare: Bare


class Other(BaseModel):
    x: int = 1


@dataclass
class BareData:
    pass


@dataclass
class FilledData(BareData):
    x: int = 1


class Window(BaseModel):
    last: deque[int]


class Moment(BaseModel):
    at: datetime


class Money(int):
    currency: str

    def __new__(cls, amount: int, currency: str) -> Self:
        money = super().__new__(cls, amount)
        money.currency = currency
        return money


class Weight(float):
    def __new__(cls, amount: float, unit: str) -> Self:
        weight = super().__new__(cls, amount)
        weight._unit = unit  # type: ignore[attr-defined]
        return weight

    @property
    def unit(self) -> str:
        return self._unit  # type: ignore[no-any-return, attr-defined]


class Tag(str):
    __slots__ = ("place",)


class Named(dict[str, Any]):
    """A dictionary that shows its keys as attributes, and keeps where it came from to itself."""

    def __init__(self, **items: Any) -> None:
        super().__init__(**items)
        self.__dict__.update(items, _connection="of a client")


class Point(NamedTuple):
    x: int
    y: int


class Pin(Point):
    pass


class Level(enum.Enum):
    LOW = 1
    LEAST = 1  # noqa: PIE796 - an alias


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Size(enum.IntEnum):
    SMALL = 1


def having(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


def asked(value: Any, name: str) -> Any:
    getattr(value, name)
    return value


def seen_of(value: Any, annotation: Any, replay: Any) -> tuple[list[Any], Played]:
    """Return what a handler gets of a step: live, and after each replay."""
    seen: list[Any] = []

    def fetch() -> Any:
        return value

    if annotation is not UNSTATED:
        fetch.__annotations__["return"] = annotation
    else:
        del fetch.__annotations__["return"]

    @define_workflow
    async def fetches(input: Any, context: Context) -> None:
        seen.append(await context.step.run("fetch", fetch))
        await context.step.sleep("nap", 1)

    played = play(fetches, replay=replay)
    return seen, played


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


class Stated(typing.TypedDict):
    at: date


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize(
    ("value", "annotation", "form", "said"),
    [
        (
            Metre(length=1),
            "Missing",
            {"length": 1},
            "name 'Missing' is not defined. Import what it",
        ),
        (
            Metre(length=1),
            "typing.Missing",
            {"length": 1},
            "no attribute 'Missing'. Import what it",
        ),
        (bytearray(b"a"), bytearray, "a", "the annotation <class 'bytearray'>: Unable to generate"),
        *(
            [
                (
                    {"at": DAY},
                    Stated,
                    {"at": "2026-01-02"},
                    "Please use `typing_extensions.TypedDict`",
                )
            ]
            if sys.version_info < (3, 12)
            else []
        ),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named_where_something_depends_on_it(
    value: Any, annotation: Any, form: Any, said: str, replay: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kit"):
        seen, played = seen_of(value, annotation, replay)

    assert played.completed
    assert seen[0] == form
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith(
        "the value of step 'fetch' is stored as if its function had no return"
    )
    assert said in message


def test_plain_data_under_an_annotation_that_cannot_be_used_is_kept_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "kit"):
        seen, _ = seen_of({"a": [1]}, "Missing", "pauses")

    assert seen == [{"a": [1]}] * 2
    assert caplog.records == []


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("annotation", ["list[", "'list['"])
def test_a_function_whose_annotation_is_no_expression_is_not_called(
    annotation: str, replay: Any
) -> None:
    called: list[int] = []

    def fetch() -> Any:
        called.append(1)

    fetch.__annotations__["return"] = annotation

    @define_workflow(max_retries=0)
    async def fetches(input: Any, context: Context) -> None:
        await context.step.run("fetch", fetch)

    played = play(fetches, replay=replay)

    assert called == []
    assert played.failure is not None
    assert "the return annotation 'list[' of" in played.failure.message
    assert "is no expression of Python's" in played.failure.message


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


def test_a_parameter_that_only_a_type_checker_knows_leaves_the_return_annotation_alone() -> None:
    def fetch(source: Any) -> Metre:
        return Metre(length=source)

    fetch.__annotations__ = {"source": "Missing", "return": "Metre"}

    assert adapter_of(fetch).validate_python({"length": 1}) == Metre(length=1)


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
