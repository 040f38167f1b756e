"""What the annotation of a step's function has to do with its value."""

from __future__ import annotations

import logging
import sys
import typing
from datetime import date
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.execution.returns import adapter_of
from kit.testing import play

from .shapes import DAY, Metre, seen_of


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


def test_a_parameter_that_only_a_type_checker_knows_leaves_the_return_annotation_alone() -> None:
    def fetch(source: Any) -> Metre:
        return Metre(length=source)

    fetch.__annotations__ = {"source": "Missing", "return": "Metre"}

    assert adapter_of(fetch).validate_python({"length": 1}) == Metre(length=1)
