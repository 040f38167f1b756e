import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from kit.client import api
from kit.client.definition import DefinedWorkflow, define_workflow
from kit.model.workflow import Workflow


async def publish(input: str, context: object = None) -> str:
    """Publish a draft.

    At length.
    """
    return input.strip()


def test_a_bare_decorator_makes_a_workflow_with_the_defaults() -> None:
    workflow = define_workflow(publish)
    assert isinstance(workflow, Workflow)
    assert workflow.handler is publish
    assert (workflow.name, workflow.timeout, workflow.background) == (None, None, False)
    assert (workflow.retry.max_retries, workflow.retry.backoff) == (4, None)
    assert workflow.checkpoints == "each"


def test_a_decorator_with_arguments_sets_the_policy() -> None:
    @define_workflow(
        name="drafts/publish",
        timeout="5 minutes",
        max_retries=2,
        backoff=["1 second", 60],
        background=True,
        checkpoints="gather",
        store="blobs",
    )
    def handler() -> None: ...

    assert handler.name == "drafts/publish"
    assert handler.timeout == timedelta(minutes=5)
    assert handler.retry.schedule() == (timedelta(seconds=1), timedelta(seconds=60))
    assert (handler.background, handler.checkpoints) == (True, "gather")
    assert handler.store == "blobs"


def test_a_decorator_with_empty_parentheses_is_the_bare_one() -> None:
    assert define_workflow()(publish).handler is publish


def test_a_plain_call_takes_the_options_too() -> None:
    assert define_workflow(publish, max_retries=0).retry.max_retries == 0


async def test_calling_a_workflow_calls_its_function() -> None:
    assert await define_workflow(publish)(" x ") == "x"
    assert define_workflow(lambda: 3)() == 3


def test_a_workflow_looks_like_its_function() -> None:
    workflow: Any = define_workflow(publish)
    assert workflow.__name__ == "publish"
    assert workflow.__qualname__ == "publish"
    assert workflow.__module__ == __name__
    assert workflow.__wrapped__ is publish
    assert inspect.getdoc(workflow) == inspect.getdoc(publish)
    assert inspect.signature(workflow) == inspect.signature(publish)
    assert inspect.unwrap(workflow) is publish


def test_a_workflow_remembers_the_module_that_defined_it() -> None:
    assert define_workflow(functools.partial(publish, "x")).defined_in == __name__
    assert define_workflow(max_retries=1)(inspect.cleandoc).defined_in == __name__


def test_a_workflow_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        define_workflow(publish).name = "other"  # type: ignore[misc]


def test_a_list_of_waits_is_copied() -> None:
    waits = ["1 second"]
    workflow = define_workflow(publish, backoff=waits)
    waits[0] = "nonsense"
    assert workflow.retry.wait_after(0) == timedelta(seconds=1)


def test_a_function_of_the_attempt_is_a_backoff() -> None:
    workflow = define_workflow(publish, backoff=lambda attempt: attempt * 10)
    assert workflow.retry.wait_after(1) == timedelta(seconds=20)


def test_an_option_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"no option 'timout'; did you mean 'timeout'\? It has:"):
        define_workflow(publish, timout=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"no option 'zzz'\. It has: name, timeout,"):
        define_workflow(zzz=3)  # type: ignore[call-overload]


@pytest.mark.parametrize("thing", [3, {"handler": publish}, [publish], object])
def test_a_handler_that_is_no_function_is_named(thing: Any) -> None:
    with pytest.raises(TypeError, match="needs a function as its handler, not"):
        define_workflow(thing)


def test_a_name_in_the_handlers_place_says_where_names_go() -> None:
    with pytest.raises(TypeError, match=r"write define_workflow\(name='publish-draft'\)"):
        define_workflow("publish-draft")  # type: ignore[call-overload]


def test_a_workflow_of_a_workflow_is_refused() -> None:
    with pytest.raises(TypeError, match="'publish' is a workflow already"):
        define_workflow(define_workflow(publish))


def test_a_handler_that_yields_is_refused() -> None:
    def plain() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncIterator[int]:
        yield 1

    for handler in (plain, asynchronous):
        with pytest.raises(TypeError, match="yields, but a handler returns"):
            define_workflow(handler)


def test_a_handler_with_too_many_parameters_is_refused() -> None:
    def handler(input: int, context: object, more: int) -> None: ...

    with pytest.raises(TypeError, match="handler takes 'more'"):
        define_workflow(handler)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": "5"}, "no unit"),
        ({"timeout": 0}, "longer than nothing"),
        ({"max_retries": -1}, "from 0 to 10000"),
        ({"max_retries": 10**9}, "from 0 to 10000"),
        ({"backoff": "5 seconds"}, "list of durations"),
        ({"backoff": [0]}, "not honoured"),
        ({"name": " x"}, "no event name"),
        ({"checkpoints": "never"}, '"each" or "gather"'),
        ({"store": "sqlite"}, '"awl" or "blobs"'),
    ],
)
def test_a_value_out_of_bounds_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        define_workflow(publish, **options)


async def test_start_hands_everything_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    async def run_workflow(*args: Any, **options: Any) -> str:
        calls.append((args, options))
        return "the run"

    monkeypatch.setattr(api, "run_workflow", run_workflow)
    workflow: DefinedWorkflow[..., Any] = define_workflow(publish)
    run: Any = await workflow.start("x", id="k", delay="1 hour", priority=3)
    assert run == "the run"
    assert calls == [
        (
            (workflow, "x"),
            {
                "id": "k",
                "delay": "1 hour",
                "delay_until": None,
                "priority": 3,
                "on_conflict": "keep",
            },
        )
    ]
