"""
How the public API is meant to be typed. Never run: mypy --strict and pyright read it.

An `ignore` here is an assertion too: both checkers complain about one that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, assert_type

from kit.client.definition import DefinedWorkflow, define_workflow
from kit.model.workflow import Workflow


class Draft(TypedDict):
    title: str


class Published(TypedDict):
    url: str


@define_workflow
async def publish_draft(input: Draft, context: object) -> Published:
    return {"url": input["title"]}


@define_workflow(
    name="reports/monthly",
    timeout="5 minutes",
    max_retries=2,
    backoff=["5 seconds", 60, timedelta(minutes=5)],
    background=True,
    checkpoints="gather",
)
def monthly_report(input: int | None = None) -> str:
    return str(input)


@define_workflow()
async def sweep() -> None: ...


def _count(input: str) -> int:
    return len(input)


def _takes_only_positional(input: str, /) -> int:
    return len(input)


count = define_workflow(_count, backoff=lambda attempt: attempt * 10)


def decorators_keep_what_they_decorate() -> None:
    handlers: list[Callable[[Draft, object], Coroutine[Any, Any, Published]]] = [publish_draft]
    handlers.clear()
    defined: DefinedWorkflow[[str], int] = define_workflow(_takes_only_positional)
    assert_type(defined("x"), int)
    workflows: list[Workflow[..., Any]] = [publish_draft, monthly_report, sweep, count]
    assert_type(workflows[0].name, str | None)


async def calling_one_calls_the_function() -> None:
    assert_type(await publish_draft({"title": "x"}, None), Published)
    assert_type(monthly_report(), str)
    assert_type(monthly_report(input=3), str)
    assert_type(count("x"), int)
    await publish_draft(1, None)  # type: ignore[arg-type]
    count()  # type: ignore[call-arg]


async def starting_one_takes_the_handlers_input() -> None:
    await publish_draft.start({"title": "x"}, id="draft-1", delay="1 hour", priority=5)
    await monthly_report.start(3, delay_until=datetime(2030, 1, 1, tzinfo=UTC))
    await monthly_report.start(None)
    await monthly_report.start()
    await sweep.start()
    await count.start("x")
    await count.start(3)  # type: ignore[call-overload]
    await sweep.start(3)  # type: ignore[call-arg, arg-type]
    await publish_draft.start({"tilte": "x"})  # type: ignore[call-overload]


def wrong_definitions() -> None:
    define_workflow("publish-draft")  # type: ignore[call-overload]
    define_workflow(_count, timout="5 minutes")  # type: ignore[call-overload]
    define_workflow(_count, checkpoints="never")  # type: ignore[call-overload]
