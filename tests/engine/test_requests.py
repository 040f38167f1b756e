"""Stops that another process asks for, by a row in the file."""

import asyncio
from typing import Any

import pytest

from kit.engine.engine import Engine
from kit.model.errors import StoreError
from kit.model.run import RunStatus
from kit.store.sqlite.direct import request_stop

from .conftest import (
    START,
    Open,
    break_disk,
    event,
    flow,
    nothing,
)


async def told(engine: Engine, path: Any, run_id: str) -> None:
    """Ask as another process would, and have the engine look at once."""
    await asyncio.to_thread(request_stop, path, run_id, START)
    engine._driving.hear()
    engine._driving.hear()
    await engine._driving.close()


async def test_another_process_stops_a_run(start: Open, path: Any) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    await told(engine, path, run.id)
    assert engine.get(run.id).status is RunStatus.CANCELLED
    assert engine._store.reader.requests() == []


async def test_the_engine_notices_a_request_by_itself(start: Open, path: Any) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    await asyncio.to_thread(request_stop, path, run.id, START)
    assert (await asyncio.wait_for(engine.wait(run.id), 50)).status is RunStatus.CANCELLED


async def test_a_request_made_while_no_engine_was_open_is_seen_to(start: Open, path: Any) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    await engine.close()
    request_stop(path, run.id, START)
    engine = await start(flow(nothing), resume=())
    assert not engine.is_driver
    await engine.submit(event())
    await engine._driving.close()
    assert engine.get(run.id).status is RunStatus.CANCELLED, "nobody needs to resume it for that"


async def test_a_request_that_cannot_be_stored_stays_for_the_next_engine(
    start: Open, path: Any
) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    break_disk(engine)
    await told(engine, path, run.id)
    with pytest.raises(StoreError, match="read-only"):
        await engine.wait(run.id)
    await engine.close()
    engine._driving.has_changed()
    engine = await start(flow(nothing))
    await engine._driving.close()
    assert engine.get(run.id).status is RunStatus.CANCELLED


async def test_requests_that_cannot_be_read_are_told(start: Open) -> None:
    engine = await start(flow(nothing))
    run = await engine.submit(event(due=START + 1000))
    engine._store.reader.close()
    engine._driving.hear()
    with pytest.raises(StoreError):
        await engine.wait(run.id)
