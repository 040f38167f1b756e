"""What a step is given, as a text; and what is noted of runs while they go on."""

import enum
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, SecretStr

from kit.dev.arguments import LONGEST, call_text
from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.dev.runs import BegunStep
from kit.dev.underway import Underway
from kit.model.progress import Progress, ProgressKind

from .conftest import Write, ended, until


def charge() -> None:
    pass


class Order(BaseModel):
    id: int
    key: SecretStr = SecretStr("s3cret")
    note: str = Field("private", repr=False)


@dataclass(slots=True)
class Item:
    sku: str
    count: int = 1
    hidden: str = field(default="private", repr=False)


class Colour(enum.Enum):
    RED = 1


class Asking:
    """Something whose text is not to be asked for."""

    def __repr__(self) -> str:
        raise AssertionError("it was asked")

    __str__ = __repr__


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (5, "5"),
        (1.5, "1.5"),
        ("it's", '"it\'s"'),
        (b"x", "b'x'"),
        ([1, [2]], "[1, [2]]"),
        ((1,), "(1,)"),
        ((), "()"),
        ({1}, "{1}"),
        ({"a": {"b": [None]}}, "{'a': {'b': [None]}}"),
        ({}, "{}"),
        (date(2027, 1, 31), "datetime.date(2027, 1, 31)"),
        (timedelta(seconds=1), "datetime.timedelta(seconds=1)"),
        (Decimal("1.10"), "Decimal('1.10')"),
        (UUID(int=7), "UUID('00000000-0000-0000-0000-000000000007')"),
        (PurePosixPath("/a"), "PurePosixPath('/a')"),
        (Colour.RED, "Colour.RED"),
        (Order(id=7), "Order(id=7, key=<SecretStr>)"),
        (Item("a"), "Item(sku='a', count=1)"),
        (object.__new__(Item), "<Item>"),
        (Asking(), "<Asking>"),
        ([Asking()], "[<Asking>]"),
        (charge, "<charge>"),
        (Asking, "<Asking>"),
        (1 << 10_000, "<int of 10001 bits>"),
    ],
)
def test_what_is_given_is_shown_without_asking_it(value: object, text: str) -> None:
    assert call_text(charge, (value,), {}) == f"charge({text})"


def test_a_call_names_what_is_named() -> None:
    assert call_text(charge, (1, "two"), {"three": 3}) == "charge(1, 'two', three=3)"
    assert call_text(SimpleNamespace(), (), {"a": 1}) == "SimpleNamespace(a=1)"


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        list(range(10**6)),
        [["x" * 100] * 100] * 100,
        circle(),
        {n: n for n in range(10**5)},
    ],
)
def test_however_much_is_given_little_is_shown(value: object) -> None:
    text = call_text(charge, (value,), {})

    assert len(text) < 2 * LONGEST
    assert "…" in text


def told(what: ProgressKind, run_id: str = "r", **data: Any) -> Progress:
    return Progress(what, run_id, "w", 7, data)


def begun(step: str, run_id: str = "r", *args: object) -> Progress:
    data = {"call": SimpleNamespace(function=charge, args=args, kwargs={})} if args else {}
    return told(ProgressKind.STEP_STARTED, run_id, stepId=step, **data)


@pytest.mark.parametrize(
    "end",
    [
        told(ProgressKind.STEP_FINISHED, stepId="a"),
        told(ProgressKind.STEP_FAILED, stepId="a"),
        told(ProgressKind.RUN_SLEEPS),
        told(ProgressKind.ATTEMPT_FAILED),
        told(ProgressKind.RUN_STARTED),
        told(ProgressKind.RUN_ENDED),
    ],
)
def test_a_step_is_running_until_it_or_its_attempt_is_over(end: Progress) -> None:
    underway = Underway()
    underway.note(end)
    underway.note(begun("a"))
    assert underway.begun("r") == (BegunStep("a", 7),)
    underway.note(end)
    assert underway.begun("r") == ()
    assert underway.begun("other") == ()


def test_what_the_latest_steps_were_given_is_kept() -> None:
    underway = Underway(most=100)
    for run_id in ("one", "two"):
        underway.note(begun("a", run_id, "x" * 10))
        underway.note(begun("a", run_id, "y" * 10))
        underway.note(begun("b", run_id))
    assert underway.given("one") == underway.given("two") == {"a": f"charge('{'y' * 10}')"}
    underway.note(begun("c", "two", "x" * 60))
    assert underway.given("one") == {}
    assert list(underway.given("two")) == ["a", "c"]
    underway.forget("two")
    underway.note(begun("a", "three", "x" * 80))
    assert list(underway.given("three")) == ["a"]


async def test_a_step_is_shown_with_what_it_was_given_until_its_run_is_deleted(
    runs: LocalRuns, project: DevProject, write: Write
) -> None:
    write(
        "functions/workflows/adds.py",
        "from kit import define_workflow\n\n"
        "@define_workflow\n"
        "async def adds(input, context):\n"
        "    return await context.step.run('add', sum, [1, 2], start=3)\n",
    )
    await project.load()
    run_id = await runs.start("adds")
    await ended(runs, run_id)

    details = await until(lambda: runs.details(run_id))
    assert details.given == {"add": "sum([1, 2], start=3)"}
    assert await runs.delete(run_id)
    assert runs._underway.given(run_id) == {}
