from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from kit.execution import threads
from kit.execution.calling import call, is_async

where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")


async def on_loop(a: int, b: int = 0) -> tuple[int, bool]:
    return a + b, threading.current_thread() is threading.main_thread()


def in_thread(a: int, b: int = 0) -> tuple[int, bool]:
    return a + b, threading.current_thread() is threading.main_thread()


class Caller:
    async def method(self) -> int:
        return 1

    def __call__(self) -> Awaitable[int]:
        return self.method()


async def test_an_async_function_is_called_on_the_loop() -> None:
    assert await call(on_loop, (1,), {"b": 2}) == (3, True)


async def test_a_plain_function_is_called_in_a_thread() -> None:
    assert await call(in_thread, (1,), {"b": 2}) == (3, False)


async def test_what_a_plain_function_returns_to_be_awaited_is_awaited() -> None:
    assert await call(lambda: on_loop(1), (), {}) == (1, True)
    assert await call(Caller(), (), {}) == 1


def test_partials_and_methods_have_the_colour_of_their_function() -> None:
    assert is_async(functools.partial(on_loop, 1))
    assert is_async(Caller().method)
    assert not is_async(in_thread)
    assert not is_async(len)


async def test_context_variables_are_seen_in_the_thread_but_not_changed_from_there() -> None:
    where.set("here")

    def look() -> str:
        found = where.get()
        where.set("there")
        return found

    assert await call(look, (), {}) == "here"
    assert where.get() == "here"


async def test_exceptions_come_back_from_a_thread() -> None:
    with pytest.raises(ZeroDivisionError):
        await call(lambda: 1 // 0, (), {})


async def test_a_stop_iteration_comes_back_as_a_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="the function raised StopIteration") as caught:
        await call(lambda: next(iter(())), (), {})
    assert isinstance(caught.value.__cause__, StopIteration)


async def exits() -> None:
    raise SystemExit(3)


def exits_plainly() -> None:
    raise SystemExit("bye")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (exits, r"exits called sys.exit\(3\)"),
        (exits_plainly, r"exits_plainly called sys.exit\('bye'\)"),
        (functools.partial(exits), r"called sys.exit\(3\)"),
    ],
)
async def test_sys_exit_becomes_an_ordinary_error(function: Any, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        await asyncio.gather(call(function, (), {}))


async def test_a_hundred_plain_calls_nested_in_each_other_do_not_block() -> None:
    loop = asyncio.get_running_loop()

    def nest(depth: int) -> int:
        if depth == 0:
            return 0
        inner = asyncio.run_coroutine_threadsafe(call(nest, (depth - 1,), {}), loop)
        return inner.result() + 1

    depths = await asyncio.wait_for(
        asyncio.gather(*(call(nest, (100,), {}) for _ in range(3))), timeout=30
    )
    assert depths == [100, 100, 100]


async def test_threads_are_used_again_and_few_are_kept() -> None:
    together = threading.Barrier(60, timeout=60)
    await asyncio.gather(*(call(together.wait, (), {}) for _ in range(60)))
    for _ in range(200):
        if len(threads._idle) == threads._KEPT_IDLE:
            break
        await asyncio.sleep(0.01)
    assert len(threads._idle) == threads._KEPT_IDLE
    before = threading.active_count()
    assert await call(threading.active_count, (), {}) == before


async def test_a_call_that_is_cancelled_is_not_waited_for() -> None:
    go_on = threading.Event()
    waiting = asyncio.create_task(call(go_on.wait, (), {}))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await call(time.sleep, (0.01,), {})  # the late result is of no interest to anyone


def test_a_call_that_outlives_its_loop_ends_in_silence() -> None:
    go_on, done = threading.Event(), threading.Event()

    def late() -> None:
        go_on.wait()
        done.set()

    async def start() -> None:
        calls = asyncio.ensure_future(call(late, (), {}))
        await asyncio.sleep(0.01)
        calls.cancel()

    asyncio.run(start())
    go_on.set()
    assert done.wait(5)
    time.sleep(0.05)  # the thread finds the loop closed


async def test_one_call_at_a_time_has_a_key_even_if_nobody_waits_for_the_last() -> None:
    go_on, began = threading.Event(), threading.Event()
    log: list[str] = []

    def first() -> None:
        began.set()
        go_on.wait()
        log.append("first")

    waiting = asyncio.create_task(call(first, (), {}, "key"))
    while not began.is_set():
        await asyncio.sleep(0.001)
    waiting.cancel()
    second = asyncio.create_task(call(log.append, ("second",), {}, "key"))
    await call(log.append, ("other",), {}, "another key")
    go_on.set()
    await second

    assert log == ["other", "first", "second"]


async def test_a_call_that_takes_long_holds_up_no_other() -> None:
    go_on = threading.Event()
    slow = [asyncio.create_task(call(go_on.wait, (), {})) for _ in range(20)]
    quick = [asyncio.create_task(call(int, (n,), {})) for n in range(200)]

    assert await asyncio.wait_for(asyncio.gather(*quick), 30) == list(range(200))
    go_on.set()
    await asyncio.gather(*slow)


async def test_whoever_asks_is_told_when_calls_have_ended_that_nobody_waits_for() -> None:
    go_on, told = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    calls = [asyncio.create_task(threads.in_thread(go_on.wait, (5,), {}, key)) for key in "ab"]
    await asyncio.sleep(0)
    assert set(threads.under_way()) >= {"a", "b"}
    for each in calls:
        each.cancel()
    threads.when_ended("ab", lambda: loop.call_soon_threadsafe(told.set))
    await asyncio.sleep(0.02)
    assert not told.is_set()
    go_on.set()
    await asyncio.wait_for(told.wait(), 5)
    once: list[str] = []
    threads.when_ended("ab", lambda: once.append("at once"))
    assert once == ["at once"]
