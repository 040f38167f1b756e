"""The provider `netlify`, as the functions of `kit` use it."""

import asyncio
import functools
import gc
import json

import httpx
import pytest

from kit import (
    ConfigError,
    Context,
    NotSupportedError,
    PayloadError,
    RejectedError,
    RunFailed,
    RunStatus,
    WorkflowNotFoundError,
    defer_workflow,
    define_workflow,
    get_workflow_run,
    list_workflows,
    run_workflow,
    send_event,
    send_events,
    sync,
)
from kit.client import (
    api as client,
)
from kit.client import netlify
from kit.client.netlify import MAX_CALLS, NetlifyProvider
from kit.client.provider import resolve
from kit.model.event import Event, derived_id
from kit.netlify.management import delete_flow
from kit.netlify.router import Acknowledgement
from kit.netlify.transport import AsyncNetwork
from kit.project.config import load

ROUTER = "https://site.example/.netlify/functions/async-workloads-router"
ENVIRON = {"WORKFLOW_BASE_URL": "https://site.example/some/path", "WORKFLOW_API_KEY": "s3cret"}


@pytest.fixture
def router(network):
    return network.post(url__startswith=ROUTER).respond(200, headers={"x-awl-ack": "ack"})


@pytest.fixture
async def provider(tmp_path):
    async def pause(seconds):
        pauses.append(seconds)

    pauses = []
    made = NetlifyProvider(load(tmp_path, environ=ENVIRON), lambda: AsyncNetwork(pause=pause))
    client.use_provider(made)
    yield made
    client.use_provider(None)
    await made.close()
    assert not made._lifetimes


def bodies(route):
    return [json.loads(call.request.content) for call in route.calls]


@define_workflow
async def echo(input: dict, context: Context):
    return input


async def test_a_run_is_queued_and_that_is_all_there_is_to_tell(provider, router):
    run = await run_workflow("publish-draft", {"title": "x"}, priority=-50)

    assert run.provider == "netlify"
    assert run.native == Acknowledgement(run.id, "publish-draft", 200)
    assert await run.status() is RunStatus.QUEUED
    assert await get_workflow_run(run.id) is None
    [[sent]] = bodies(router)
    assert sent["eventId"] == run.id
    assert sent["priority"] == -50
    assert router.calls.last.request.headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("ask", "what"), [("stop", "STOP"), ("result", "RESULT"), ("details", "DETAILS")]
)
async def test_what_netlify_cannot_do_says_what_would_make_it_work(tmp_path, router, ask, what):
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    client.use_provider(provider)
    run = await run_workflow("publish-draft")

    with pytest.raises(NotSupportedError, match="provider: local") as caught:
        await getattr(run, ask)()
    client.use_provider(None)
    await provider.close()
    assert caught.value.code == f"NOT_SUPPORTED_{what}"


async def test_concurrent_sends_share_calls_of_ten(provider, router):
    runs = await asyncio.gather(*(run_workflow("w", n) for n in range(23)))

    sent = bodies(router)
    assert [len(each) for each in sent] == [10, 10, 3]
    assert [one["data"] for each in sent for one in each] == list(range(23))
    assert [one["eventId"] for each in sent for one in each] == [run.id for run in runs]


async def test_events_sent_one_after_another_go_one_by_one(provider, router):
    for n in range(3):
        await send_event("w", n)

    assert [len(each) for each in bodies(router)] == [1, 1, 1]


async def test_more_than_a_few_calls_wait_for_each_other(provider, network):
    under_way = most = 0

    async def answer(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, headers={"x-awl-ack": "ack"})

    route = network.post(url__startswith=ROUTER).mock(side_effect=answer)
    await asyncio.gather(*(send_event("w", n) for n in range(10 * MAX_CALLS + 35)))

    assert most <= MAX_CALLS
    assert sum(len(each) for each in bodies(route)) == 10 * MAX_CALLS + 35
    assert route.call_count == MAX_CALLS + 4


async def test_an_event_that_cannot_be_sent_spoils_no_other(provider, router):
    events = [Event("w", data, derived_id("w", str(n))) for n, data in enumerate([1, 2**60, 3])]
    outcomes = await provider.send_all(events)

    assert [type(each) for each in outcomes] == [type(None), PayloadError, type(None)]
    assert [[one["data"] for one in each] for each in bodies(router)] == [[1, 3]]


async def test_of_several_events_each_says_whether_it_went(provider, router):
    sent = await send_events(
        [
            ("good", {"a": 1}),
            ("bad name \u2603", 1),
            ("nan", float("nan")),
            ("large", "x" * 500_001),
            {"name": "later", "delay": "2 days", "priority": 51},
            {"name": "also-good", "delay": "2 days", "id": "key"},
        ]
    )

    assert [each.ok for each in sent] == [True, False, False, False, False, True]
    assert "Latin-1" in str(sent[1].error)
    assert "500000 at most" in str(sent[3].error)
    assert "51 is no priority" in str(sent[4].error)
    [[_, last]] = bodies(router)
    assert last["eventId"] == derived_id("run", "also-good", "key")
    assert last["delayUntil"] > 1_700_000_000_000


async def test_a_group_that_is_refused_tells_each_of_its_events(provider, network):
    network.post(url__startswith=ROUTER).respond(401, headers={"x-awl-reason": "invalid API key"})
    results = await asyncio.gather(send_event("one"), send_event("two"), return_exceptions=True)

    assert [type(each) for each in results] == [RejectedError] * 2
    assert "event 'two' was not taken" in str(results[1])
    assert results[0].event_id != results[1].event_id
    assert "s3cret" not in str(results[0])


async def test_a_lost_connection_is_tried_again_with_the_same_ids(provider, network):
    answers = [
        httpx.ConnectError("x"),
        httpx.Response(503),
        httpx.Response(200, headers={"x-awl-ack": ""}),
    ]
    route = network.post(url__startswith=ROUTER).mock(side_effect=answers)
    run = await run_workflow("w")

    assert run.native.tries == 3
    assert len({one["eventId"] for [one] in bodies(route)}) == 1


async def test_a_deferred_start_that_fails_is_told_when_asked(provider, network):
    network.post(url__startswith=ROUTER).respond(404)
    run = await defer_workflow("w")

    with pytest.raises(RejectedError, match="Install Async Workloads"):
        await run.status()


async def test_a_deferred_start_goes_through(provider, router):
    run = await defer_workflow("w")

    assert await run.status() is RunStatus.QUEUED
    assert run.native.event_id == run.id


def test_the_plain_functions_go_the_same_way(tmp_path, router):
    client.use_provider(provider := NetlifyProvider(load(tmp_path, environ=ENVIRON)))
    run = sync.run_workflow("w", {"a": 1})

    assert run.status() is RunStatus.QUEUED
    assert sync.get_workflow_run(run.id) is None
    assert [each.ok for each in sync.send_events([("w", 1), ("w", 2)])] == [True, True]
    client.use_provider(None)
    asyncio.run(provider.close())
    assert not provider._lifetimes


async def test_whoever_stops_waiting_before_anything_is_sent_wants_nothing_sent(provider, router):
    await send_event("first")
    waiting = asyncio.create_task(send_event("second"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [[one["eventName"] for one in each] for each in bodies(router)] == [["first"]]


async def test_whoever_stops_waiting_while_it_is_sent_stops_no_other(provider, network):
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return httpx.Response(200, headers={"x-awl-ack": "ack"})

    network.post(url__startswith=ROUTER).mock(side_effect=answer)
    one, other = (asyncio.create_task(send_event("w", n)) for n in range(2))
    while not network.calls and not provider._lifetimes:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    one.cancel()
    release.set()

    assert await other
    assert one.cancelled()


async def test_a_mistake_while_sending_reaches_whoever_waits(tmp_path):
    async with httpx.AsyncClient() as closed:
        pass
    network = functools.partial(AsyncNetwork, closed)
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON), network)
    with pytest.raises(RuntimeError, match="closed"):
        await provider.send_all([Event("w", 1, derived_id("w"))])
    await provider.close()


async def test_closing_finishes_what_is_under_way(tmp_path, router):
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    await provider.send(Event("w", 0, derived_id("w")))
    sending = asyncio.create_task(provider.send(Event("w", 1, derived_id("w"))))
    await asyncio.sleep(0)
    await provider.close()

    assert sending.done() or await sending
    await provider.close()


async def test_closing_with_only_those_who_stopped_waiting_ends(tmp_path, router):
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    await provider.send(Event("w", 0, derived_id("w")))
    sending = asyncio.create_task(provider.send(Event("w", 1, derived_id("w"))))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    await provider.close()

    assert router.call_count == 1


def test_each_loop_has_connections_of_its_own_which_end_with_it(tmp_path, router):
    closed = []

    class Counted(AsyncNetwork):
        async def close(self):
            closed.append(self)
            await super().close()

    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON), Counted)
    for n in range(3):
        asyncio.run(provider.send(Event("w", n, derived_id("w", str(n)))))

    assert len(closed) == 3
    assert provider._lifetimes == {}


def test_a_loop_that_was_just_dropped_is_forgotten(tmp_path, router):
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(provider.send(Event("w", 1, derived_id("w"))))
    loop.close()
    asyncio.run(provider.send(Event("w", 2, derived_id("v"))))

    assert provider._lifetimes == {}


def test_a_loop_that_ends_while_sending_ends_the_wait(tmp_path, network):
    async def never(request):
        await asyncio.Event().wait()

    network.post(url__startswith=ROUTER).mock(side_effect=never)
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    tasks = []

    async def begin():
        tasks.append(asyncio.create_task(provider.send(Event("w", 1, derived_id("w")))))
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(begin())
    gc.collect()
    assert tasks[0].cancelled()


async def test_management_orders_share_the_connections(provider, network):
    network.delete("https://site.example/.netlify/functions/async-workloads-api/events").respond(
        200, json={"workloadResult": {"sendStatus": "succeeded", "eventId": "x"}}
    )
    accepted = await provider.carry_out(delete_flow(provider.target, everything=True))

    assert accepted.event_id == "x"


# ------------------------------------------------------------ definitions


FILE = """
from kit import Context, define_workflow

@define_workflow
async def shout(input: str, context: Context) -> str:
    return input.upper()
"""


async def test_input_is_checked_against_a_definition_at_hand_and_other_names_go(tmp_path, router):
    (tmp_path / "functions/workflows").mkdir(parents=True)
    (tmp_path / "functions/workflows/shout_it.py").write_text(FILE)
    provider = NetlifyProvider(load(tmp_path, environ=ENVIRON))
    client.use_provider(provider)

    with pytest.raises(PayloadError, match="valid string"):
        await run_workflow("shout-it", 5)
    await run_workflow("somewhere-else", 5)
    await run_workflow(echo, {})
    assert [each.event_name for each in await list_workflows()] == ["echo", "shout-it"]
    assert provider.find_workflow("ECHO") is echo
    client.use_provider(None)
    await provider.close()


# ------------------------------------------------------------ choosing it


@pytest.mark.parametrize("mark", ["NETLIFY", "NETLIFY_LOCAL", "NETLIFY_DEV"])
def test_on_netlify_it_is_chosen_without_any_setting(tmp_path, mark):
    environ = {mark: "true", "URL": "https://site.example", "AWL_API_KEY": "k"}
    config = load(tmp_path, environ=environ)
    provider = resolve(config)

    assert isinstance(provider, NetlifyProvider)
    assert provider.target == netlify.Target("https://site.example", "k")
    assert mark in str(config.origins["provider"])


def test_without_an_address_it_says_how_to_give_one(tmp_path):
    with pytest.raises(ConfigError, match="set WORKFLOW_BASE_URL"):
        resolve(load(tmp_path, environ={"WORKFLOW_PROVIDER": "netlify"}))


def test_an_unknown_name_is_no_error_here(tmp_path):
    provider = resolve(load(tmp_path, environ=ENVIRON))

    assert provider.find_workflow("nobody") is None
    with pytest.raises(WorkflowNotFoundError):
        resolve(load(tmp_path, environ={})).find_workflow("nobody")


# ------------------------------------------------------------ chains, on the local engine


async def test_twenty_events_of_one_workflow_all_go_and_a_circle_ends(tmp_path):
    provider = resolve(load(tmp_path, environ={}))
    client.use_provider(provider)
    hops = []
    last = []

    @define_workflow
    async def target(input: int, context: Context):
        return input

    @define_workflow
    async def spread(input: None, context: Context):
        return [(await run_workflow(f"target-{n}", n)).id for n in range(20)]

    @define_workflow(max_retries=0)
    async def around(input: int, context: Context):
        last.append(context.event_id)
        hops.append(input)
        await run_workflow("around", input + 1)

    for n in range(20):
        provider.admit(define_workflow(target.handler, name=f"target-{n}"))
    provider.admit(around)
    ids = await (await run_workflow(spread)).result(10)
    assert [await (await get_workflow_run(each)).result(10) for each in ids] == list(range(20))

    await run_workflow(around, 1)
    async with asyncio.timeout(10):
        while len(hops) < 19:
            await asyncio.sleep(0)
    with pytest.raises(RunFailed, match=r"number 20 in a chain .* break the circle"):
        await (await get_workflow_run(last[-1])).result(10)
    assert hops == list(range(1, 20))
    client.use_provider(None)
    await provider.close()


def test_a_store_that_does_not_exist_yet_is_refused_rather_than_ignored(tmp_path):
    with pytest.raises(ConfigError, match="store: blobs"):
        resolve(load(tmp_path, environ=ENVIRON, store="blobs"))
