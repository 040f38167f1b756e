from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kit.execution.context import Context, PlainContext
from kit.model.delivery import Completed, Failed
from kit.model.errors import StepUsageError
from kit.model.step_id import MAX_STEP_ID_LENGTH, check_step_id, repeated

if TYPE_CHECKING:
    from conftest import Deliver


@pytest.mark.parametrize("step_id", ["a", "persist title", "é😀", "x" * 255, "kit", "awl", "1:2"])
def test_nearly_any_text_names_a_step(step_id: str) -> None:
    check_step_id(step_id)


@pytest.mark.parametrize("step_id", ["", "x" * 256, "kit:x", "awl:x", None, 5, b"x"])
def test_some_texts_do_not(step_id: Any) -> None:
    with pytest.raises(StepUsageError) as caught:
        check_step_id(step_id)
    assert caught.value.step_id in (step_id, repr(step_id))


def test_an_id_too_long_is_told_by_its_beginning() -> None:
    with pytest.raises(StepUsageError, match="of 10000 characters is too long") as caught:
        check_step_id("ab" * 5000)
    assert MAX_STEP_ID_LENGTH == 255
    assert "'abab" in caught.value.message
    assert len(str(caught.value.to_json())) < 400


def test_a_repeated_id_is_told_with_what_to_do() -> None:
    assert "give every step its own (in a loop, put the index into it)" in repeated("a").message


async def test_a_step_is_called_with_its_arguments(deliver: Deliver) -> None:
    async def handler(input: Any, context: Context) -> list[Any]:
        def join(*args: str, **kwargs: str) -> list[Any]:
            return [*args, kwargs]

        return await context.step.run("a", join, "x", "y", step_id="z", fn="f")

    stage = await deliver(handler)
    stage = await deliver(handler, stage.checkpoints)
    assert stage.outcome == Completed('["x","y",{"step_id":"z","fn":"f"}]')


async def test_steps_of_a_plain_handler_are_not_for_the_event_loop(deliver: Deliver) -> None:
    def handler(input: Any, context: PlainContext) -> None:
        async def on_the_loop() -> None:
            context.step.run("inner", lambda: 1)

        context.step.run("outer", on_the_loop)

    stage = await deliver(handler)
    assert isinstance(stage.outcome, Failed)
    assert stage.outcome.failure.message == (
        "a plain handler's steps are for plain functions; make the handler async as well"
    )


def test_a_step_of_a_run_whose_loop_is_gone_fails() -> None:
    kept: list[PlainContext] = []

    async def run() -> None:
        from kit.execution.execute import Suspending, execute
        from kit.model.delivery import Delivery
        from kit.model.event import Event
        from kit.model.workflow import Workflow

        def handler(input: Any, context: PlainContext) -> None:
            kept.append(context)

        event = Event("w", None, "11111111-1111-4111-8111-111111111111")
        await execute(Workflow(handler), Delivery(event), Suspending(), now=lambda: 1)

    asyncio.run(run())
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        kept[0].step.run("a", lambda: 1)
