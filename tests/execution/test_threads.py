"""Threads for plain functions, and the loops that wait for them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context, PlainContext
from kit.execution.threads import in_thread
from kit.testing import aplay

Ref = weakref.ref[asyncio.AbstractEventLoop]


def one() -> int:
    return 1


def are_gone(loops: list[Ref]) -> bool:
    """Tell whether all *loops* are gone, as soon as the threads have looked up from their work."""
    until = time.monotonic() + 20
    while any(each() is not None for each in loops) and time.monotonic() < until:
        gc.collect()
        time.sleep(0.001)
    return all(each() is None for each in loops)


async def async_handler(input: Any, context: Context) -> int:
    return await context.step.run("a", one)


def plain_handler(input: Any, context: PlainContext) -> int:
    return context.step.run("a", one)


@pytest.mark.parametrize("handler", [async_handler, plain_handler])
def test_a_loop_that_ran_plain_functions_goes_when_it_has_ended(
    handler: Callable[..., Any],
) -> None:
    loops: list[Ref] = []

    async def run() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        played = await aplay(define_workflow(name="w")(handler), replay="pauses")
        assert played.result == 1

    for _ in range(3):
        asyncio.run(run())
    assert len(loops) == 3
    assert are_gone(loops)


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_a_loop_that_does_not_wait_for_a_plain_function_goes_when_that_has_ended(
    seconds: float,
) -> None:
    loops: list[Ref] = []
    is_over = threading.Event()

    async def run() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await in_thread(is_over.wait, (20,), {})

    asyncio.run(run())
    is_over.set()
    assert are_gone(loops)


async def test_calls_of_a_loop_go_on_behind_one_that_takes_long() -> None:
    is_over = threading.Event()
    slow = asyncio.create_task(in_thread(is_over.wait, (20,), {}))
    await asyncio.sleep(0)
    assert await asyncio.gather(*(in_thread(one, (), {}) for _ in range(20))) == [1] * 20
    assert not slow.done()
    is_over.set()
    assert await slow
