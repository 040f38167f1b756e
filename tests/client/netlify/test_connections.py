"""The connections of the provider `netlify`: who stops waiting, who closes them, and when."""

import asyncio
import functools
import subprocess
import sys

import httpx
import pytest

from kit import (
    run_workflow,
    send_event,
)
from kit.client import background
from kit.client.netlify import NetlifyProvider
from kit.model.event import Event, derived_id
from kit.netlify.management import delete_flow
from kit.netlify.sender import Sender
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport
from kit.project.config import load

from .conftest import ENVIRON, ROUTER, bodies


async def test_whoever_stops_waiting_before_anything_is_sent_wants_nothing_sent(sender, router):
    await sender.send(Event("first", 1, derived_id("first")))
    waiting = asyncio.create_task(sender.send(Event("second", 1, derived_id("second"))))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [[one["eventName"] for one in each] for each in bodies(router)] == [["first"]]


async def test_whoever_stops_waiting_while_it_is_sent_stops_no_other(sender, network):
    asked, release = asyncio.Event(), asyncio.Event()

    async def answer(request):
        asked.set()
        await release.wait()
        return httpx.Response(200, headers={"x-awl-ack": "ack"})

    network.post(url__startswith=ROUTER).mock(side_effect=answer)
    one, other = (
        asyncio.create_task(sender.send(Event("w", n, derived_id(str(n))))) for n in range(2)
    )
    await asked.wait()
    one.cancel()
    release.set()

    assert await other
    assert one.cancelled()


async def test_whoever_stops_waiting_for_a_run_to_be_accepted_is_cancelled(provider, network):
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    async def never(request):
        loop.call_soon_threadsafe(asked.set)
        await asyncio.Event().wait()

    network.post(url__startswith=ROUTER).mock(side_effect=never)
    waiting = asyncio.create_task(run_workflow("w"))
    await asked.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    [call] = await background.run(_under_way(provider))
    call.cancel()


async def _under_way(provider):
    return list(provider._sender._calls)


async def test_a_mistake_while_sending_reaches_whoever_waits(tmp_path):
    async with httpx.AsyncClient() as closed:
        pass
    transport = functools.partial(AsyncTransport, closed)
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON), transport)
    with pytest.raises(RuntimeError, match="closed"):
        await provider.send_all([Event("w", 1, derived_id("w"))])
    await provider.close()


async def test_closing_finishes_what_is_under_way(sender, router):
    await sender.send(Event("w", 0, derived_id("w")))
    sending = asyncio.create_task(sender.send(Event("w", 1, derived_id("w"))))
    await asyncio.sleep(0)
    await sender.close()

    assert sending.done() or await sending


async def test_closing_with_only_those_who_stopped_waiting_ends(sender, router):
    await sender.send(Event("w", 0, derived_id("w")))
    sending = asyncio.create_task(sender.send(Event("w", 1, derived_id("w"))))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    await sender.close()

    assert router.call_count == 1


def test_all_loops_send_over_the_same_connections_which_end_when_they_are_closed(tmp_path, router):
    made, closed = [], []

    class Counted(AsyncTransport):
        def __init__(self):
            made.append(self)
            super().__init__()

        async def close(self):
            closed.append(self)
            await super().close()

    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON), Counted)
    for n in range(3):
        asyncio.run(provider.send(Event("w", n, derived_id("w", str(n)))))
    assert len(made) == 1
    for _ in range(2):
        asyncio.run(provider.close())
    assert closed == made

    asyncio.run(provider.send(Event("w", 3, derived_id("w", "3"))))
    asyncio.run(provider.close())
    assert len(closed) == len(made) == 2


async def test_waiting_for_what_was_deferred_leaves_connections_open(provider, router):
    await send_event("w", 1)
    sender = provider._sender
    await asyncio.to_thread(background.flush, 1)
    await send_event("w", 2)

    assert provider._sender is sender


def test_a_program_that_just_ends_closes_its_connections_first(tmp_path):
    code = (
        "import os, httpx, kit.sync\n"
        "os.environ['WORKFLOW_BASE_URL'] = 'http://127.0.0.1:9'\n"
        "async def taken(*_): return httpx.Response(200, headers={'x-awl-ack': ''}, text='')\n"
        "httpx.AsyncHTTPTransport.handle_async_request = taken\n"
        "async def close(self): print('closed')\n"
        "httpx.AsyncHTTPTransport.aclose = close\n"
        "kit.sync.run_workflow('w')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("closed\n", "")


def test_a_loop_that_ends_while_sending_ends_the_wait(network):
    async def never(request):
        await asyncio.Event().wait()

    network.post(url__startswith=ROUTER).mock(side_effect=never)
    tasks = []

    async def begin():
        sender = Sender(Site("https://site.example"), AsyncTransport())
        tasks.append(asyncio.create_task(sender.send(Event("w", 1, derived_id("w")))))
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(begin())
    assert tasks[0].cancelled()


async def test_management_orders_share_the_connections(provider, network):
    network.delete("https://site.example/.netlify/functions/async-workloads-api/events").respond(
        200, json={"workloadResult": {"sendStatus": "succeeded", "eventId": "x"}}
    )
    accepted = await provider.carry_out(delete_flow(provider.site, everything=True))

    assert accepted.event_id == "x"
