"""A site with the runs API, asked by the functions of `kit` and by the clients of one site."""

import asyncio
import itertools
import json

import httpx
import pytest
from pydantic import SecretStr

from kit import (
    NotSupportedError,
    RunCancelled,
    RunFailed,
    RunNotFoundError,
    RunStatus,
    WorkflowError,
    get_workflow_run,
    list_runs,
    run_workflow,
)
from kit.client.asking import ABSENCE_SECONDS, PATIENCE, SiteRuns, pauses
from kit.netlify.runs import RunsApi
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport

from .conftest import ID, KEY, ORIGIN, RUNS, answer, refusal, run_json, told


async def test_a_run_that_was_sent_is_queued_then_where_it_is(provider, network):
    run = await run_workflow("publish-draft", {})
    route = network.get(f"{RUNS}/{run.id}/result")
    route.side_effect = [refusal(404, "RUN_NOT_FOUND"), told("running"), told("sleeping")]

    assert await run.status() is RunStatus.QUEUED
    assert await run.status() is RunStatus.RUNNING
    assert await run.status() is RunStatus.SLEEPING
    assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


async def test_a_run_is_looked_up_with_its_steps(provider, network):
    network.get(f"{RUNS}/{ID}").mock(return_value=answer(run_json()))
    found = await get_workflow_run(ID.upper())

    assert found is not None
    assert (found.id, found.name) == (ID, "publish-draft")
    details = await found.details()
    assert details.steps == ("persist",)
    assert details.run.created == 1000
    assert json.loads(details.run.data) == {"title": "x"}


async def test_an_unknown_run_is_none(provider, network):
    network.get(url__startswith=RUNS).mock(return_value=refusal(404, "RUN_NOT_FOUND"))
    assert await get_workflow_run(ID) is None
    assert await get_workflow_run("../etc?x#y") is None
    assert await get_workflow_run("x" * 10_000) is None
    assert len(network.calls) == 1  # what can be no id is not asked for


async def test_a_result_is_looked_for_less_and_less_often(asked, network, slept):
    answers = [refusal(404, "RUN_NOT_FOUND"), *[told("running")] * 10, told("completed")]
    network.get(f"{RUNS}/{ID}/result").side_effect = answers

    run = await asked.wait(ID)

    assert json.loads(run.result) == {"ok": True}
    assert slept == list(itertools.islice(pauses(), 11))
    assert (slept[0], slept[-1]) == (0.2, 5.0)
    assert slept == sorted(slept)


async def test_the_result_is_the_handlers_or_its_error(provider, network):
    run = await run_workflow("publish-draft", {})
    route = network.get(f"{RUNS}/{run.id}/result")
    route.mock(return_value=told("completed"))
    assert await run.result() == {"ok": True}

    error = {"type": "ValueError", "message": "bad", "traceback": "tb", "stepId": "s", "code": None}
    route.mock(return_value=told("failed", error=error))
    with pytest.raises(RunFailed, match=r"'publish-draft' failed in step 's': ValueError: bad"):
        await run.result()

    route.mock(return_value=told("cancelled"))
    with pytest.raises(RunCancelled):
        await run.result()


async def test_waiting_ends_at_its_time(provider, network):
    run = await run_workflow("publish-draft", {})
    network.get(f"{RUNS}/{run.id}/result").mock(return_value=told("running"))
    with pytest.raises(TimeoutError, match=f"run {run.id} of 'publish-draft' has not ended"):
        await run.result(timeout=0.01)


async def test_who_gives_up_waiting_can_tell_how_the_run_stood(asked, network, slept):
    route = network.get(f"{RUNS}/{ID}/result").mock(return_value=told("running"))
    waiting = asyncio.create_task(asked.wait(ID))
    while len(slept) < 2:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert asked.standing(ID) == "it was running at the last look"
    assert asked.standing(ID) == "it had not begun"
    assert route.called


async def test_what_passes_is_waited_out_and_what_does_not_is_told(asked, network, slept):
    route = network.get(f"{RUNS}/{ID}/result")
    busy = [refusal(503, "STORE_UNAVAILABLE"), httpx.ConnectError("broken")]
    route.side_effect = [*busy, told("completed")]
    assert (await asked.wait(ID)).status is RunStatus.COMPLETED

    route.mock(return_value=refusal(401, "UNAUTHORIZED"), side_effect=None)
    with pytest.raises(WorkflowError, match="Set WORKFLOW_API_KEY") as caught:
        await asked.wait(ID)
    assert KEY not in str(caught.value)

    route.mock(return_value=refusal(503, "STORE_UNAVAILABLE"), side_effect=None)
    with pytest.raises(WorkflowError) as caught:
        await asked.wait(ID)
    assert caught.value.code == "STORE_UNAVAILABLE"
    assert route.call_count > PATIENCE


async def test_a_run_that_is_deleted_meanwhile_is_no_longer_waited_for(asked, network):
    network.get(f"{RUNS}/{ID}/result").side_effect = [
        told("running"),
        refusal(404, "RUN_NOT_FOUND"),
    ]
    with pytest.raises(RunNotFoundError):
        await asked.wait(ID)
    with pytest.raises(RunNotFoundError):
        await asked.wait("nonsense")


async def test_a_run_that_is_not_there_yet_cannot_be_stopped_and_says_when_it_can(asked, network):
    network.get(f"{RUNS}/{ID}/result").mock(return_value=refusal(404, "RUN_NOT_FOUND"))
    with pytest.raises(RunNotFoundError, match="from its first delivery on") as caught:
        await asked.stop(ID)
    assert caught.value.run_id == ID


async def test_a_run_is_stopped_once(asked, network):
    known = network.get(f"{RUNS}/{ID}/result")
    stop = network.post(f"{RUNS}/{ID}/stop").mock(return_value=told("cancelled"))
    known.mock(return_value=told("sleeping"))
    assert await asked.stop(ID)
    known.mock(return_value=told("cancelled"))
    assert not await asked.stop(ID)
    assert stop.call_count == 1


async def test_an_order_is_not_given_twice(network):
    route = network.post(f"{RUNS}/{ID}/retry").mock(side_effect=httpx.ReadError("broken"))
    transport = AsyncTransport()
    with pytest.raises(WorkflowError, match="did not answer"):
        await transport.carry_out(RunsApi(Site(ORIGIN, SecretStr(KEY))).retry(ID))
    assert route.call_count == 1
    await transport.close()


@pytest.mark.parametrize(
    "answer", [httpx.Response(404, text="Not Found"), httpx.Response(200, html="<p>a page</p>")]
)
async def test_a_site_without_the_api_says_how_to_have_it(provider, network, answer):
    run = await run_workflow("publish-draft", {})
    network.route(url__startswith=RUNS).mock(return_value=answer)
    assert await run.status() is RunStatus.QUEUED
    assert await get_workflow_run(run.id) is None
    for asking in (run.result(), run.stop(), run.details(), list_runs()):
        with pytest.raises(NotSupportedError, match=r"`store: blobs`.*`kit build`.*deploy"):
            await asking


async def test_that_a_site_has_no_runs_api_is_remembered_for_a_while(network):
    now, transport = [100.0], AsyncTransport()
    asked = SiteRuns(Site(ORIGIN), transport.carry_out, clock=lambda: now[0])
    route = network.route(url__startswith=RUNS).mock(return_value=httpx.Response(404))
    for _ in range(3):
        assert await asked.status(ID) is None
        assert await asked.find(ID) is None
    assert route.call_count == 1
    with pytest.raises(NotSupportedError):  # what cannot be done without it is asked all the same
        await asked.stop(ID)

    now[0] += ABSENCE_SECONDS
    route.mock(return_value=told("running"))
    assert await asked.status(ID) is RunStatus.RUNNING
    assert await asked.status(ID) is RunStatus.RUNNING
    assert route.call_count == 4
    await transport.close()


async def test_a_password_before_the_site_is_not_taken_for_a_site_without_the_api(asked, network):
    network.get(url__startswith=RUNS).respond(403)
    with pytest.raises(WorkflowError, match="password or firewall") as caught:
        await asked.find(ID)
    assert not isinstance(caught.value, NotSupportedError)


async def test_a_large_run_arrives_whole(asked, network):
    text = "x" * 3_000_000
    network.get(f"{RUNS}/{ID}").mock(return_value=answer(run_json(result=text)))
    assert json.loads((await asked.find(ID)).result) == text
