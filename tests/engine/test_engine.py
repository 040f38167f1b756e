import asyncio
import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.engine.live import ActiveRun
from kit.model.errors import PayloadError, RunNotFoundError, WorkflowNotFoundError
from kit.model.progress import Progress
from kit.model.run import RunStatus
from kit.store.sqlite.lease import lease_path

from .conftest import START, FakeClock, Gate, Open, event, finished, flow, hello, turns


async def test_a_run_goes_from_its_event_to_its_result(start: Open) -> None:
    engine = await start(flow(hello))
    run = await finished(engine, "flow", "you", priority=7)
    assert (run.status, run.result, run.workflow) == (RunStatus.COMPLETED, '"hello you"', "flow")
    assert engine.get(run.id) == run
    assert (run.created, run.started, run.ended, run.priority) == (START, START, START, 7)
    assert list(engine._store.reader.checkpoints(run.id)) == ["greet"]


async def test_plain_handlers_run_in_threads(start: Open) -> None:
    def plain(input: Any, context: Any) -> Any:
        context.step.sleep("nap", 60)
        return context.step.run("where", lambda: threading.current_thread().name)

    engine = await start(flow(plain), fast=True)
    assert (await finished(engine)).result == '"kit-plain"'


async def test_an_accepted_run_is_on_disk_before_submit_returns(start: Open, path: Any) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event(), key="mine")
    assert engine.get(run.id) == run
    assert run.key == "mine"
    gate.open()


async def test_an_id_that_is_known_starts_nothing(start: Open) -> None:
    calls: list[Any] = []
    engine = await start(flow(calls.append))
    first = await finished(engine, "flow", 1)
    again = await engine.submit(event("flow", 2, id=first.id))
    assert again == first
    assert calls == [1]


async def test_an_id_submitted_many_times_at_once_is_one_run(start: Open) -> None:
    calls: list[Any] = []
    engine = await start(flow(calls.append))
    one = event("flow", "once")
    runs = await asyncio.gather(*(engine.submit(one) for _ in range(20)))
    ended = await asyncio.gather(*(engine.wait(run.id) for run in runs))
    assert len({run.id for run in ended}) == len(calls) == 1


async def test_a_sender_who_gives_up_waiting_has_still_started_the_run(start: Open) -> None:
    engine = await start(flow(hello))
    one = event()
    sending = asyncio.create_task(engine.submit(one))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    assert (await engine.wait(one.id)).status is RunStatus.COMPLETED


async def test_a_handler_gets_the_data_as_they_were_sent(start: Open) -> None:
    seen: list[Any] = []
    data = {"list": [1], "pair": (1, 2)}
    engine = await start(flow(seen.append))
    run = await engine.submit(event("flow", data))
    data["list"].append(2)  # type: ignore[attr-defined]
    await engine.wait(run.id)
    assert seen == [{"list": [1], "pair": [1, 2]}]


async def test_a_megabyte_of_data_arrives(start: Open) -> None:
    text = "ä" * 1_000_000
    engine = await start(flow(lambda input: len(input)))
    assert (await finished(engine, "flow", text)).result == "1000000"


async def test_data_that_would_not_travel_are_refused_and_nothing_is_stored(start: Open) -> None:
    engine = await start(flow(hello))
    with pytest.raises(PayloadError):
        await engine.submit(event("flow", {"id": 2**53}))
    assert engine._store.reader.runs() == []
    assert (await finished(engine)).status is RunStatus.COMPLETED


async def test_a_name_nobody_answers_to_is_refused(start: Open) -> None:
    engine = await start(flow(hello))
    with pytest.raises(WorkflowNotFoundError):
        await engine.submit(event("other"))


async def test_an_id_nobody_knows_is_told_so(start: Open) -> None:
    engine = await start(flow(hello))
    for asking in (engine.wait, engine.stop, engine.retry):
        with pytest.raises(RunNotFoundError):
            await asking("nobody")


async def test_replay_always_ends_the_invocation_at_each_fresh_step(start: Open) -> None:
    entered: list[int] = []

    async def two(input: Any, context: Any) -> None:
        entered.append(1)
        await context.step.run("a", lambda: None)
        await context.step.run("b", lambda: None)

    engine = await start(flow(two), replay="always")
    await finished(engine)
    assert len(entered) == 3


async def test_events_sent_by_a_run_start_runs_once(start: Open) -> None:
    got: list[Any] = []

    async def sender(input: Any, context: Any) -> str:
        sent = await context.send_event("other", {"n": 1})
        await context.step.sleep("nap", 1)
        return str(sent)

    engine = await start(flow(sender), flow(got.append, "other"), fast=True)
    run = await finished(engine)
    await engine.idle()
    assert got == [{"n": 1}]
    assert run.result is not None
    assert engine.get(run.result.strip('"')).chain == ("flow",)


async def test_what_happens_is_told_to_whoever_watches(start: Open, clock: FakeClock) -> None:
    told: list[Progress] = []

    async def eventful(input: Any, context: Any) -> None:
        await context.step.run("a", lambda: None)
        await context.step.sleep("nap", 1)
        if not context.attempt:
            raise LookupError("no")

    engine = await start(flow(eventful), observe=told.append)
    run = await engine.submit(event())
    for wait in (1000, 5000):
        await engine.idle()
        clock.advance(wait)
    await engine.wait(run.id)
    assert [each.what for each in told] == [
        *("run-started", "step-started", "step-finished", "slept", "run-sleeps"),
        *("run-started", "attempt-failed", "run-started", "run-ended"),
    ]
    assert told[6].data == {"attempt": 0, "error": "no", "retryIn": 5000}
    assert told[-1].data == {"status": "completed"}


async def test_idle_returns_at_once_where_nothing_goes_on(start: Open) -> None:
    engine = await start(flow(hello))
    await engine.idle()


async def test_idle_waits_for_a_run_that_is_on_its_way_to_the_disk(start: Open) -> None:
    engine = await start(flow(hello))
    sending = asyncio.create_task(engine.submit(event()))
    await turns(1)
    await engine.idle()
    assert (await sending).id
    assert [run.status for run in engine._store.reader.runs()] == [RunStatus.COMPLETED]


async def test_a_waiter_who_gives_up_is_forgotten(start: Open) -> None:
    gate = Gate()
    engine = await start(flow(gate.come))
    run = await engine.submit(event())
    waiting = [asyncio.create_task(engine.wait(run.id)), asyncio.create_task(engine.idle())]
    await turns(2)
    for each in waiting:
        each.cancel()
    gate.open()
    assert (await engine.wait(run.id)).status is RunStatus.COMPLETED
    await engine.idle()


async def test_a_run_that_has_ended_needs_no_garbage_collector(start: Open) -> None:
    def held() -> int:
        return sum(isinstance(each, ActiveRun) for each in gc.get_objects())

    async def handler(input: Any, context: Any) -> Any:
        return await context.step.run("wait", asyncio.sleep, 0)

    engine = await start(flow(handler))
    gc.collect()
    gc.disable()
    try:
        before = held()
        await finished(engine)
        await turns()  # the loop lets go of the task that has just ended
        assert held() <= before
    finally:
        gc.enable()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
async def test_who_uses_a_link_to_the_run_file_shares_log_and_lease_with_the_target(
    start: Open, path: Path, tmp_path: Path
) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)  # which is not there yet
    async with Engine(link, {"flow": flow(hello)}.get, clock=FakeClock()) as driver:
        assert (await finished(driver, "flow", "you")).status is RunStatus.COMPLETED
        other = await start(flow(hello))
        run = await finished(other, "flow", "me")
        assert (driver.is_driver, other.is_driver) == (True, False)
        assert run == driver.get(run.id)
        assert lease_path(path).exists()
    assert [each.name for each in link.parent.iterdir()] == ["link.db"]
    assert path.stat().st_mode & 0o777 == 0o600
