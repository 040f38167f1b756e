"""Events with a key of one's own that are sent by several at once: each is one event."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.asked import Asked
from kit.execution.context import Context, PlainContext
from kit.execution.memory import Memory
from kit.model.delivery import AfterStep, Checkpoint, CheckpointKind
from kit.model.errors import SendError
from kit.model.event import Event
from kit.testing import Stage
from tests.support.delivering import until_ended

RUN_ID = "00000000-0000-4000-8000-000000000001"
MODES = pytest.mark.parametrize("after", list(AfterStep))


class Slow(Stage):
    """A stage on which each send of an event waits in turn for what *sends* has, and counts."""

    tried = 0

    def __init__(self, handler: Any, after: AfterStep, sends: list[Any]) -> None:
        super().__init__(define_workflow(name="w")(handler), Event("w", None, RUN_ID), after)
        self.sends = sends

    async def send(self, event: Event) -> None:
        self.tried += 1
        wait = self.sends.pop(0) if self.sends else None
        if wait is not None:
            await wait()
        await super().send(event)


async def played(handler: Any, after: AfterStep, *sends: Any, crash_at: int | None = None) -> Slow:
    stage = Slow(handler, after, list(sends))
    stage.crash_at = crash_at
    await until_ended(stage)
    assert stage.played.completed, stage.played.failure
    return stage


async def one() -> int:
    return 1


async def sent_late() -> None:
    await asyncio.sleep(0.1)


async def never() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise SendError("not now")


@MODES
@pytest.mark.parametrize("many", [2, 3])
async def test_a_keyed_event_that_several_send_at_once_is_sent_once(
    after: AfterStep, many: int
) -> None:
    async def handler(input: Any, context: Context) -> list[Any]:
        came: list[Any] = []

        async def send(number: int) -> None:
            came.append([number, await context.send_event("e", 1, id="k")])

        await asyncio.gather(*map(send, range(many)))
        await context.step.sleep("nap", 60)
        await context.step.run("last", one)
        return came

    stage = await played(handler, after)

    [event] = stage.played.sent
    assert stage.played.result == [[each, event.id] for each in range(many)]
    assert stage.tried == 1
    assert list(stage.checkpoints) == [f"kit:send:e:{event.id}", "nap", "last"]


@MODES
@pytest.mark.parametrize("crash_at", [1, 2, 3])
async def test_it_is_one_event_wherever_the_process_ends(after: AfterStep, crash_at: int) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        async def branch(step_id: str) -> str:
            await context.send_event("e", 1, id="k")
            await context.step.run(step_id, one)
            return await context.send_event("e", 1, id="k")

        ids = await asyncio.gather(*map(branch, "abc"))
        await context.step.sleep("nap", 60)
        return ids

    stage = await played(handler, after, crash_at=crash_at)

    [event] = stage.played.sent
    assert stage.played.result == [event.id] * 3


@MODES
@pytest.mark.parametrize("is_cut_off", ["who sends", "who waits", "both"])
async def test_who_is_cut_off_is_so_at_a_replay_and_the_other_sends_it(
    after: AfterStep, is_cut_off: str
) -> None:
    is_cut = asyncio.Event()

    async def handler(input: Any, context: Context) -> list[str]:
        async def send(limit: float | None) -> str:
            try:
                async with asyncio.timeout(limit):
                    await context.send_event("e", 1, id="k")
                    return "sent"
            except TimeoutError:
                is_cut.set()
                return "cut off"

        one_limit = None if is_cut_off == "who waits" else 0.02
        other = None if is_cut_off == "who sends" else 0.02
        came = await asyncio.gather(send(one_limit), send(other))
        await context.step.run("last", one)
        await context.step.sleep("nap", 60)
        return came

    # on a busy machine the second of both may begin to send before its own time is over
    sends = {"who sends": [never], "who waits": [is_cut.wait], "both": [never, never]}
    stage = await played(handler, after, *sends[is_cut_off])

    expected = {
        "who sends": ["cut off", "sent"],
        "who waits": ["sent", "cut off"],
        "both": ["cut off", "cut off"],
    }
    assert stage.played.result == expected[is_cut_off]
    assert stage.played.steps == ["last"]
    assert len(stage.played.sent) == (is_cut_off != "both")


@MODES
async def test_if_it_does_not_get_through_the_next_tries(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        sends = (context.send_event("e", 1, id="k") for _ in range(3))
        came = await asyncio.gather(*sends, return_exceptions=True)
        seen = await context.step.run("seen", lambda: [type(each).__name__ for each in came])
        await context.step.sleep("nap", 60)
        return seen

    stage = await played(handler, after, fails)

    assert stage.played.result == ["SendError", "str", "str"]
    assert stage.tried == 2


@MODES
async def test_all_go_on_in_the_order_in_which_they_did(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> list[list[str]]:
        came: list[str] = []

        async def send(name: str, *, first: bool = False) -> None:
            if first:
                await context.step.run(name, one)
            await context.send_event("e", 1, id="k")
            came.append(name)
            await context.send_event("e", 1, id="k")
            came.append(name)

        await asyncio.gather(send("a"), send("b", first=True), send("c"), send("d", first=True))
        order = await context.step.run("order", lambda: came)
        await context.step.sleep("nap", 60)
        return [came, order]

    stage = await played(handler, after, sent_late)

    now, before = stage.played.result
    assert now == before
    assert stage.tried == 1


@MODES
async def test_the_first_content_under_a_key_counts(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        ids = await asyncio.gather(*(context.send_event("e", n, id="k") for n in (1, 2)))
        await context.step.sleep("nap", 60)
        return [*ids, await context.send_event("e", 3, id="k")]

    stage = await played(handler, after)

    [event] = stage.played.sent
    assert event.data == 1
    assert stage.played.result == [event.id] * 3


@MODES
async def test_an_event_sent_within_a_step_and_beside_it_has_one_id(after: AfterStep) -> None:
    async def handler(input: Any, context: Context) -> list[str]:
        async def send() -> str:
            return await context.send_event("e", 1, id="k")

        ids = await asyncio.gather(context.step.run("a", send), send(), send())
        await context.step.sleep("nap", 60)
        return ids

    stage = await played(handler, after)

    [event] = stage.played.sent
    assert stage.played.result == [event.id] * 3


@MODES
async def test_threads_of_a_plain_handler_send_one_event_at_once(after: AfterStep) -> None:
    def handler(input: Any, context: PlainContext) -> list[str]:
        with ThreadPoolExecutor(3) as pool:
            ids = list(pool.map(lambda _: context.send_event("e", 1, id="k"), range(3)))
        context.step.sleep("nap", 60)
        return ids

    stage = await played(handler, after)

    [event] = stage.played.sent
    assert stage.played.result == [event.id] * 3
    assert stage.tried == 1


@MODES
async def test_who_is_cut_off_just_after_it_was_sent_does_not_hurry_the_others(
    after: AfterStep,
) -> None:
    """They wait for what was recorded before, as they did."""
    limits: list[asyncio.Timeout] = []

    async def handler(input: Any, context: Context) -> list[str]:
        came: list[str] = []

        async def send_first() -> None:
            try:
                async with asyncio.timeout(0.1) as limit:
                    limits[:] = [limit]
                    await context.send_event("e", 1, id="k")
                    came.append("first")
            except TimeoutError:
                came.append("cut off")

        async def send_second() -> None:
            await context.send_event("e", 1, id="k")
            came.append("second")

        async def step() -> None:
            await context.step.run("step", one)
            came.append("step")

        await asyncio.gather(step(), send_first(), send_second())
        order = await context.step.run("order", lambda: list(came))
        await context.step.sleep("nap", 60)
        return [*came, "|", *order]

    async def cut_off_when_sent() -> None:
        await asyncio.sleep(0.02)
        limits[0].reschedule(0)

    stage = await played(handler, after, cut_off_when_sent)

    at = stage.played.result.index("|")
    assert stage.played.result[:at] == stage.played.result[at + 1 :]
    assert "cut off" in stage.played.result


async def test_who_waits_for_the_same_goes_on_one_by_one() -> None:
    loop, asked = asyncio.get_running_loop(), Asked()
    turns = [loop.create_future() for _ in range(3)]
    for turn in turns:
        asked.enter("k", turn)
    turns[1].cancel()
    assert asked.ids == ["k"]
    assert asked.let_go("k")
    assert [turn.done() for turn in turns] == [True, True, False]
    assert asked.let_next()
    assert turns[2].done()
    assert not asked.let_next()
    assert asked.ids == []
    for turn in turns:
        asked.leave("k", turn)
    assert not asked.let_go("k")


def test_what_is_cut_for_one_stays_while_others_wait_for_it() -> None:
    sent = Checkpoint("k", CheckpointKind.SEND, None, 0, 0, 0)
    memory = Memory([sent, Checkpoint("a", CheckpointKind.STEP, '{"value":1}', 0, 0, 1)])
    memory.cut(sent, leaves=False)
    assert memory.first is sent
    assert memory.missed == ""
    memory.cut(sent)
    assert memory.first is not sent
