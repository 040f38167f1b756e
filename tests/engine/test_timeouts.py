import asyncio
import threading
from datetime import timedelta
from typing import Any

from kit.model.run import RunStatus

from .conftest import START, FakeClock, Gate, Open, event, flow, turns

LIMIT = timedelta(minutes=1)


def is_timed_out(run: Any) -> bool:
    return run.status is RunStatus.FAILED and run.failure.code == "RUN_TIMED_OUT"


async def test_a_running_handler_is_cut_off_when_its_time_is_up(
    start: Open, clock: FakeClock
) -> None:
    gate = Gate()
    engine = await start(flow(gate.come, timeout=LIMIT))
    run = await engine.submit(event())
    await gate.somebody()
    clock.advance(59_999)
    await turns()
    assert engine.get(run.id).status is RunStatus.RUNNING
    clock.advance(1)
    assert is_timed_out(await engine.wait(run.id))
    gate.open()


async def test_a_plain_handler_in_its_thread_is_given_up_when_its_time_is_up(
    start: Open, clock: FakeClock
) -> None:
    entered, leave = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    ran: list[str] = []

    def stubborn(input: Any, context: Any) -> None:
        loop.call_soon_threadsafe(entered.set)
        leave.wait(50)
        context.step.run("late", ran.append, "late")

    engine = await start(flow(stubborn, timeout=LIMIT))
    run = await engine.submit(event())
    await entered.wait()
    clock.advance(60_000)
    assert is_timed_out(await engine.wait(run.id))
    leave.set()
    await engine.close()
    assert ran == []


async def test_a_step_that_ends_after_the_limit_is_not_stored(
    start: Open, clock: FakeClock
) -> None:
    gate = Gate()

    async def deaf() -> None:
        try:
            await gate.come()
        except asyncio.CancelledError:
            return

    async def one(input: Any, context: Any) -> None:
        await context.step.run("one", deaf)

    engine = await start(flow(one, timeout=LIMIT))
    run = await engine.submit(event())
    await gate.somebody()
    clock.advance(60_000)
    assert is_timed_out(await engine.wait(run.id))
    gate.open()
    await turns()
    assert engine._store.reader.checkpoints(run.id) == {}


async def test_a_timer_that_is_early_is_set_again(start: Open, clock: FakeClock) -> None:
    gate = Gate()
    engine = await start(flow(gate.come, timeout=LIMIT))
    run = await engine.submit(event())
    await gate.somebody()
    for timer in clock.timers:
        timer.when -= 30_000
    clock.advance(30_000)
    assert clock.next_due() == START + 60_000
    gate.open()
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_a_sleeping_run_ends_when_its_time_is_up(start: Open, clock: FakeClock) -> None:
    async def sleeper(input: Any, context: Any) -> None:
        await context.step.sleep("hour", "1h")

    engine = await start(flow(sleeper, timeout=LIMIT))
    run = await engine.submit(event())
    await engine.idle()
    clock.advance(60_000)
    assert is_timed_out(await engine.wait(run.id))
    assert clock.now() == START + 60_000


async def test_a_run_that_waits_for_its_retry_ends_when_its_time_is_up(
    start: Open, clock: FakeClock
) -> None:
    def fails() -> None:
        raise LookupError

    engine = await start(flow(fails, timeout=timedelta(seconds=3)))
    run = await engine.submit(event())
    await engine.idle()
    clock.advance(3_000)
    assert is_timed_out(await engine.wait(run.id))


async def test_waiting_for_its_first_attempt_takes_no_time_of_a_run(
    start: Open, clock: FakeClock
) -> None:
    engine = await start(flow(lambda: None, timeout=LIMIT))
    run = await engine.submit(event(due=START + 3_600_000))
    clock.advance(3_600_000)
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED


async def test_the_time_of_a_run_goes_on_while_no_engine_is_open(
    start: Open, clock: FakeClock
) -> None:
    async def sleeper(input: Any, context: Any) -> None:
        await context.step.sleep("half", 30)

    engine = await start(flow(sleeper, timeout=LIMIT))
    run = await engine.submit(event())
    await engine.idle()
    await engine.close()
    clock.time += 90_000
    engine = await start(flow(sleeper, timeout=LIMIT))
    assert is_timed_out(await engine.wait(run.id))


async def test_a_stop_before_the_limit_counts(start: Open, clock: FakeClock) -> None:
    gate = Gate()
    engine = await start(flow(gate.come, timeout=LIMIT))
    run = await engine.submit(event())
    await gate.somebody()
    await engine.stop(run.id)
    clock.advance(60_000)
    assert (await engine.wait(run.id)).status is RunStatus.CANCELLED
