from __future__ import annotations

import asyncio

import pytest

from kit.execution.parking import Parking
from kit.model.errors import Suspend


async def test_what_was_let_go_on_parks_again_if_the_handler_has_ended_meanwhile() -> None:
    parking = Parking()

    async def wait() -> None:
        parking.enter()
        await parking.park_after_step()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert parking.release()
    assert not parking.release()
    parking.ended = True
    await asyncio.sleep(0)
    assert not waiting.done()
    await parking.close(1)
    assert isinstance(waiting.exception(), Suspend)


async def test_what_was_cancelled_while_parked_is_passed_over() -> None:
    for release in (True, False):
        parking = Parking()
        waiting = asyncio.create_task(parking.park_after_step())
        parking.tasks.add(waiting)
        await asyncio.sleep(0)
        waiting.cancel()
        if release:
            parking.release()
        await parking.close(1)
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_only_a_task_can_wait() -> None:
    said: list[str] = []

    def outside() -> None:
        try:
            Parking().enter()
        except RuntimeError as error:
            said.append(str(error))

    asyncio.get_running_loop().call_soon(outside)
    await asyncio.sleep(0)
    assert said == ["a step was asked for outside of any task; await it"]
