"""Values that steps return, plain and odd, and what becomes of them."""

from __future__ import annotations

import enum
import typing  # noqa: F401 - annotations that are given as text name it
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any, NamedTuple, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_serializer,
    field_validator,
)

from kit import define_workflow
from kit.execution.context import Context
from kit.testing import Played, play

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
