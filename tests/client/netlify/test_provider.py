"""The provider `netlify`, as the functions of `kit` use it."""

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from kit import (
    ConfigError,
    Context,
    NotSupportedError,
    PayloadError,
    RejectedError,
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
from kit.client.choice import resolve
from kit.client.default import default
from kit.client.netlify import NetlifyProvider
from kit.model.event import Event, derived_id
from kit.netlify.router import Acknowledgement
from kit.netlify.sender import MAX_CALLS
from kit.netlify.site import Site
from kit.project.catalog import Catalog
from kit.project.config import load

from .conftest import ENVIRON, ROUTER, bodies


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
async def test_what_netlify_cannot_do_says_what_would_make_it_work(provider, router, ask, what):
    run = await run_workflow("publish-draft")

    with pytest.raises(NotSupportedError, match="provider: local") as caught:
        await getattr(run, ask)()
    assert caught.value.code == f"NOT_SUPPORTED_{what}"


def event(n):
    return Event("w", n, derived_id("w", str(n)))


async def test_concurrent_sends_share_calls_of_ten(sender, router):
    taken = await asyncio.gather(*(sender.send(event(n)) for n in range(23)))

    sent = bodies(router)
    assert [len(each) for each in sent] == [10, 10, 3]
    assert [one["data"] for each in sent for one in each] == list(range(23))
    assert [one["eventId"] for each in sent for one in each] == [each.event_id for each in taken]


async def test_a_site_without_a_runs_api_cannot_tell_whether_an_id_has_started_a_run_before(
    provider, router
):
    run = await run_workflow("w", id="order-7")
    assert run.existed is None
    with pytest.raises(NotSupportedError, match=r"on_conflict .* has no runs API .*store: blobs"):
        await run_workflow("w", id="order-7", on_conflict="error")
    assert router.call_count == 1


async def test_neither_nothing_nor_a_number_names_a_workflow(provider):
    for wrong in (None, 5):
        with pytest.raises(TypeError, match="a workflow or its name is needed"):
            await run_workflow(wrong)


async def test_several_events_given_together_share_calls_of_ten(provider, router):
    sent = await send_events([("w", n) for n in range(23)])

    assert all(each.ok for each in sent)
    assert [len(each) for each in bodies(router)] == [10, 10, 3]


async def test_events_sent_one_after_another_go_one_by_one(provider, router):
    for n in range(3):
        await send_event("w", n)

    assert [len(each) for each in bodies(router)] == [1, 1, 1]


async def test_more_than_a_few_calls_wait_for_each_other(sender, network):
    under_way = most = 0

    async def answer(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, headers={"x-awl-ack": "ack"})

    route = network.post(url__startswith=ROUTER).mock(side_effect=answer)
    await asyncio.gather(*(sender.send(event(n)) for n in range(10 * MAX_CALLS + 35)))

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


async def test_the_plain_functions_go_the_same_way(provider, router):
    run = sync.run_workflow("w", {"a": 1})

    assert run.status() is RunStatus.QUEUED
    assert sync.get_workflow_run(run.id) is None
    assert [each.ok for each in sync.send_events([("w", 1), ("w", 2)])] == [True, True]


FILE = """
from kit import Context, define_workflow

@define_workflow
async def shout(input: str, context: Context) -> str:
    return input.upper()
"""


async def test_input_is_checked_against_a_definition_at_hand_and_other_names_go(
    tmp_path, router, provider
):
    (tmp_path / "functions/workflows").mkdir(parents=True)
    (tmp_path / "functions/workflows/shout_it.py").write_text(FILE)

    with pytest.raises(PayloadError, match="valid string"):
        await run_workflow("shout-it", 5)
    await run_workflow("somewhere-else", 5)
    await run_workflow(echo, {})
    assert [each.event_name for each in await list_workflows()] == ["echo", "shout-it"]
    assert default().catalog.find("ECHO") is echo


@pytest.mark.parametrize("mark", ["NETLIFY", "NETLIFY_LOCAL", "NETLIFY_DEV"])
def test_on_netlify_it_is_chosen_without_any_setting(tmp_path, mark):
    environ = {mark: "true", "URL": "https://site.example", "AWL_API_KEY": "k"}
    config = load(tmp_path, environ=environ)
    provider = resolve(config, Catalog.of(config))

    assert isinstance(provider, NetlifyProvider)
    assert provider.site == Site("https://site.example", SecretStr("k"))
    assert mark in str(config.origins["provider"])


def test_without_an_address_it_says_how_to_give_one(tmp_path):
    with pytest.raises(ConfigError, match="set WORKFLOW_BASE_URL"):
        resolve(load(tmp_path, environ={"WORKFLOW_PROVIDER": "netlify"}), Catalog())


async def test_an_unknown_name_is_no_error_here_but_it_is_where_runs_are_local(
    tmp_path, using, router
):
    async with using(tmp_path, ENVIRON):
        await run_workflow("nobody")
    async with using(tmp_path):
        with pytest.raises(WorkflowNotFoundError):
            await run_workflow("nobody")
