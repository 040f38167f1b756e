from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import PlainContext
from kit.model.workflow import (
    Workflow,
    annotation_of,
    input_parameter,
    parameter_count,
    takes,
)

if TYPE_CHECKING:
    from decimal import Decimal

    import kit
    from kit import Context


async def publish_draft(input: int, context: object) -> int:
    """
    Publish a draft.

    And more.
    """
    return input + 1


def nothing() -> None: ...


def only_input(input: str = "x") -> None: ...


def more(input: int, context: object, extra: int = 1, *args: int, **kwargs: int) -> None: ...


def test_calling_a_workflow_calls_its_plain_function() -> None:
    assert Workflow(lambda a, b: a + b)(1, b=2) == 3


def test_without_a_name_it_is_called_after_its_handler() -> None:
    assert Workflow(publish_draft).event_name == "publish-draft"
    assert Workflow(publish_draft, name="other").event_name == "other"


def test_its_doc_is_the_first_line_of_the_handlers() -> None:
    assert Workflow(publish_draft).doc == "Publish a draft."
    assert Workflow(nothing).doc == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"handler": "x"}, TypeError),
        ({"name": " x"}, ValueError),
        ({"checkpoints": "never"}, ValueError),
        ({"timeout": timedelta()}, ValueError),
        ({"timeout": timedelta(seconds=-1)}, ValueError),
        ({"handler": lambda a, b, c: None}, TypeError),
    ],
)
def test_what_cannot_be_a_workflow_is_refused(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Workflow(**{"handler": nothing, **options})


@pytest.mark.parametrize(
    ("handler", "count"), [(nothing, 0), (only_input, 1), (publish_draft, 2), (more, 2)]
)
def test_a_handler_takes_input_and_context_or_less(handler: Callable[..., Any], count: int) -> None:
    assert parameter_count(handler) == takes(Workflow(handler)) == count


def keyword_needed(*, key: int) -> None: ...


def three(a: int, b: int, c: int) -> None: ...


@pytest.mark.parametrize(("handler", "name"), [(keyword_needed, "key"), (three, "c")])
def test_a_handler_that_wants_more_is_refused_by_name(
    handler: Callable[..., Any], name: str
) -> None:
    with pytest.raises(TypeError, match=f"takes '{name}', but a handler is called with"):
        parameter_count(handler)


async def context_only(context): ...


async def context_first(ctx, input): ...


async def swapped(input: Context, context: int): ...


async def swapped_with_classes(input, context): ...


swapped_with_classes.__annotations__ = {"input": PlainContext, "context": int}


async def quoted(c: kit.Context): ...


@pytest.mark.parametrize(
    "handler", [context_only, context_first, swapped, swapped_with_classes, quoted]
)
def test_a_handler_that_takes_its_context_first_is_told_what_a_handler_takes(
    handler: Callable[..., Any],
) -> None:
    with pytest.raises(TypeError, match=r"called with \(input, context\), \(input\) or nothing"):
        Workflow(handler)


async def context_is_the_input(context: dict[str, int]): ...


def test_an_input_may_be_called_context_if_it_says_what_it_is() -> None:
    assert takes(Workflow(context_is_the_input)) == 1


def test_the_input_parameter_is_the_first() -> None:
    found = input_parameter(only_input)
    assert found is not None
    assert (found.name, found.default) == ("input", "x")
    assert input_parameter(nothing) is None


def test_an_annotation_is_what_the_function_says() -> None:
    assert annotation_of(publish_draft, "input") is int
    assert annotation_of(publish_draft, "return") is int
    assert annotation_of(lambda x: x, "x") is Any


def unresolved(input: Decimal) -> None: ...


def test_an_annotation_that_names_nothing_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'input' in unresolved cannot be resolved"):
        annotation_of(unresolved, "input")


def test_a_handler_that_takes_whatever_comes_gets_both() -> None:
    def log(handler: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: handler(*args)  # without functools.wraps

    assert takes(Workflow(lambda *args: args)) == 2
    assert takes(Workflow(log(lambda input, context: input))) == 2
    assert takes(Workflow(lambda input, *args: args)) == 2
    assert takes(Workflow(lambda **kwargs: kwargs)) == 0
    assert input_parameter(lambda *args: args) is not None
