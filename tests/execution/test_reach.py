"""Whether anybody but some tasks could wake one of them."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kit.execution import reach
from kit.execution.branch import Branch
from kit.execution.reach import wakeable

SHARED: list[Any] = []


class Seer:
    """Who takes no notice."""

    quiet = 0
    was_busy = False

    def waits_outside(self, branch: Branch) -> None:
        pass


class Holder:
    """Somebody who holds something."""

    def __init__(self, held: Any) -> None:
        self.held = held


async def within(lock: Any) -> None:
    async with lock:
        await asyncio.get_running_loop().create_future()


def two(make: Callable[[], Any]) -> list[Coroutine[Any, Any, Any]]:
    lock = make()
    return [within(lock), within(lock)]


async def found(make: Callable[[], list[Coroutine[Any, Any, Any]]]) -> bool | None:
    """Tell whether others can wake the last of the coroutines; None if nobody can tell."""
    branches = [Branch(each, Seer()) for each in make()]
    tasks = [asyncio.create_task(each) for each in branches]
    for _ in range(5):
        await asyncio.sleep(0)
    try:
        others = wakeable(branches[-1:], [*branches, *tasks])
        return None if others is None else bool(others)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def lock() -> list[Coroutine[Any, Any, Any]]:
    return two(asyncio.Lock)


def semaphore() -> list[Coroutine[Any, Any, Any]]:
    return two(functools.partial(asyncio.Semaphore, 1))


def condition() -> list[Coroutine[Any, Any, Any]]:
    async def waits(condition: asyncio.Condition) -> None:
        async with condition:
            await condition.wait()

    return [waits(asyncio.Condition())]


def event() -> list[Coroutine[Any, Any, Any]]:
    return [asyncio.Event().wait()]


def queue() -> list[Coroutine[Any, Any, Any]]:
    return [asyncio.Queue[int]().get()]


def held_by_an_object() -> list[Coroutine[Any, Any, Any]]:
    async def waits(holder: Holder) -> None:
        await within(holder.held)

    holder = Holder(asyncio.Lock())
    return [waits(holder), waits(holder)]


def closed_over() -> list[Coroutine[Any, Any, Any]]:
    lock = asyncio.Lock()

    async def waits() -> None:
        async with lock:
            await asyncio.get_running_loop().create_future()

    return [waits(), waits()]


def a_bare_future() -> list[Coroutine[Any, Any, Any]]:
    async def waits() -> None:
        await asyncio.get_running_loop().create_future()

    return [waits()]


@pytest.mark.parametrize(
    "make",
    [lock, semaphore, condition, event, queue, held_by_an_object, closed_over, a_bare_future],
)
async def test_what_lies_with_the_tasks_is_theirs(make: Any) -> None:
    assert await found(make) is False


def beside_one_that_has_failed() -> list[Coroutine[Any, Any, Any]]:
    lock = asyncio.Lock()

    async def fails() -> None:
        async with lock:
            raise OSError

    async def waits() -> None:
        failed = asyncio.create_task(fails())  # its traceback holds the lock
        await asyncio.wait([failed])
        SHARED.append(failed)
        async with lock:
            await within(lock)

    return [waits()]


async def test_a_task_that_has_ended_wakes_nobody() -> None:
    assert await found(beside_one_that_has_failed) is False
    with pytest.raises(OSError):  # noqa: PT011 - it is nobody else's
        SHARED.pop().result()


def held_elsewhere() -> list[Coroutine[Any, Any, Any]]:
    SHARED.append(asyncio.Lock())
    return [within(SHARED[-1]), within(SHARED[-1])]


def held_by_something_held_elsewhere() -> list[Coroutine[Any, Any, Any]]:
    SHARED.append(Holder(asyncio.Lock()))
    return [within(SHARED[-1].held), within(SHARED[-1].held)]


def set_by_a_timer() -> list[Coroutine[Any, Any, Any]]:
    async def waits() -> None:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(3600, event.set)
        await event.wait()

    return [waits()]


def set_by_a_thread() -> list[Coroutine[Any, Any, Any]]:
    async def waits() -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        go_on = threading.Event()
        thread = threading.Thread(
            target=lambda: (go_on.wait(60), loop.call_soon_threadsafe(event.set)), daemon=True
        )
        thread.start()
        SHARED.append((go_on, thread))
        await event.wait()

    return [waits()]


def found_by_a_weak_reference() -> list[Coroutine[Any, Any, Any]]:
    holder = Holder(asyncio.Lock())
    SHARED.append(weakref.ref(holder))

    async def waits(holder: Holder) -> None:
        await within(holder.held)

    return [waits(holder), waits(holder)]


def in_the_time_of_a_limit() -> list[Coroutine[Any, Any, Any]]:
    lock = asyncio.Lock()

    async def waits() -> None:
        async with asyncio.timeout(3600):
            await within(lock)

    return [within(lock), waits()]


def asleep() -> list[Coroutine[Any, Any, Any]]:
    return [asyncio.sleep(3600)]


@pytest.mark.parametrize(
    "make",
    [
        held_elsewhere,
        held_by_something_held_elsewhere,
        set_by_a_timer,
        set_by_a_thread,
        found_by_a_weak_reference,
        in_the_time_of_a_limit,
        asleep,
    ],
)
async def test_what_somebody_else_holds_or_time_may_end_is_not(make: Any) -> None:
    try:
        assert await found(make) is True
    finally:
        for each in SHARED:
            if isinstance(each, tuple):
                each[0].set()
                each[1].join()
        SHARED.clear()


async def test_what_waits_for_the_network_is_not_theirs() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    async def read() -> None:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            await reader.read(1)
        finally:
            writer.close()
            await writer.wait_closed()

    branch = Branch(read(), Seer())
    task = asyncio.create_task(branch)
    accepted = await asyncio.to_thread(listening.accept)
    for _ in range(5):
        await asyncio.sleep(0)
    assert wakeable([branch], [branch, task]) == [branch]
    accepted[0].close()
    await task
    listening.close()


async def test_where_there_is_too_much_to_look_at_nobody_can_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reach, "_MOST", 20)
    assert await found(lambda: [*lock(), *lock(), *lock()]) is None
