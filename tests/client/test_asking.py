"""A site with the runs API, asked by the functions of `kit` and by the clients of one site."""

import asyncio
import itertools
import json
import uuid

import httpx
import pytest
from pydantic import SecretStr

from kit import (
    AsyncWorkflowClient,
    NotSupportedError,
    RunCancelled,
    RunExistsError,
    RunFailed,
    RunNotFoundError,
    RunStatus,
    WorkflowClient,
    WorkflowError,
    get_workflow_run,
    list_runs,
    run_workflow,
    sync,
)
from kit.client.asking import ABSENCE_SECONDS, PATIENCE, SiteRuns, pauses
from kit.model.event import derived_id
from kit.netlify.runs import RunsApi
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport

ORIGIN = "https://site.example"
RUNS = f"{ORIGIN}/.netlify/functions/kit-runs"
KEY = "s3cret-key"
ENVIRON = {"WORKFLOW_BASE_URL": ORIGIN, "WORKFLOW_API_KEY": KEY}
API = {"x-kit-runs": "1"}
ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


def run_json(status="completed", **more):
    return {
        "id": ID,
        "workflow": "publish-draft",
        "status": status,
        "attempt": 0,
        "createdAt": 1000,
        "startedAt": 1001,
        "endedAt": 1005,
        "dueAt": None,
        "priority": 0,
        "data": {"title": "x"},
        "result": {"ok": True} if status == "completed" else None,
        "error": None,
        "steps": [
            {
                "id": "persist",
                "kind": "step",
                "status": "completed",
                "startedAt": 1002,
                "endedAt": 1003,
                "value": "x",
            }
        ],
        "attempts": [],
    } | more


def answer(body, status=200):
    return httpx.Response(status, headers=API, json=body)


def refusal(status, code):
    return answer({"error": {"code": code, "message": "no run has the id"}}, status)


def told(status, **more):
    whole = run_json(status, **more)
    names = ("id", "workflow", "status", "result", "error")
    return answer({name: whole[name] for name in names})


@pytest.fixture
def slept():
    return []


@pytest.fixture
async def asked(slept):
    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)  # else nothing that is mocked here ever lets another task go on

    transport = AsyncTransport(pause=sleep)
    yield SiteRuns(Site(ORIGIN, SecretStr(KEY)), transport.carry_out, sleep=sleep)
    await transport.close()


@pytest.fixture
async def provider(tmp_path, using, network):
    network.post(path__startswith="/.netlify/functions/async-workloads-router").respond(
        200, headers={"x-awl-ack": "ack"}
    )
    async with using(tmp_path, ENVIRON) as chosen:
        yield chosen.provider


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


def page(count, next_):
    error = {"type": "E", "message": "m", "traceback": "", "stepId": None, "code": None}
    runs = [run_json("failed", id=str(uuid.uuid4()), error=error) for _ in range(count)]
    left_out = ("data", "result", "steps", "attempts")
    slim = [{name: it for name, it in run.items() if name not in left_out} for run in runs]
    return answer({"runs": slim, "next": next_})


async def test_runs_are_listed_from_as_many_pages_as_it_takes(provider, network):
    route = network.get(url__startswith=f"{RUNS}?")
    route.side_effect = [page(100, 77), page(60, 55)]

    runs = await list_runs(workflow="publish-draft", status=["failed", "running"], limit=150)

    assert len(runs) == 150
    assert runs[0].failure is not None
    first, second = (dict(call.request.url.params) for call in route.calls)
    wanted = {"workflow": "publish-draft", "status": "failed,running"}
    assert first == {"limit": "100", **wanted}
    assert second == {"limit": "50", "before": "77", **wanted}


async def test_what_cannot_be_listed_is_refused_before_anything_is_asked(provider):
    with pytest.raises(ValueError, match="'lost' is no status"):
        await list_runs(status="lost")
    with pytest.raises(ValueError, match="from 1 up"):
        await list_runs(limit=0)


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


@pytest.fixture
def _no_project(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})


@pytest.mark.usefixtures("_no_project")
async def test_a_client_of_one_site_asks_over_its_own_connections():
    seen = []

    def respond(request):
        seen.append(request.url.path)
        if request.url.path.endswith("/stop"):
            return told("cancelled")
        if request.url.path.endswith("/result"):
            return told("completed")
        return page(1, None) if request.url.query else answer(run_json())

    mocked = httpx.MockTransport(respond)
    async with AsyncWorkflowClient(ORIGIN, KEY, transport=mocked) as client:
        run = await client.get_workflow_run(ID)
        assert await run.result() == {"ok": True}
        assert not await run.stop()
        [listed] = await client.list_runs(limit=1)
        assert listed.status is RunStatus.FAILED

    def plainly():
        with WorkflowClient(ORIGIN, KEY, transport=mocked) as client:
            run = client.get_workflow_run(ID)
            assert run.status() is RunStatus.COMPLETED
            assert run.result() == {"ok": True}
            assert [each.workflow for each in client.list_runs()] == ["publish-draft"]

    await asyncio.to_thread(plainly)
    assert seen


async def test_plain_code_lists_them_too(provider, network):
    network.get(url__startswith=f"{RUNS}?").mock(return_value=page(2, None))
    assert len(await asyncio.to_thread(sync.list_runs, status="failed")) == 2


@pytest.fixture
def start(provider, tmp_path, monkeypatch):
    """Start a workflow in each of the ways there are; plain ones in a thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})

    async def by_client(*arguments, **options):
        async with AsyncWorkflowClient(ORIGIN, KEY) as client:
            return await client.run_workflow(*arguments, **options)

    def plainly(*arguments, **options):
        with WorkflowClient(ORIGIN, KEY) as client:
            return client.run_workflow(*arguments, **options)

    def in_a_thread(function):
        return lambda *given, **options: asyncio.to_thread(function, *given, **options)

    return [run_workflow, in_a_thread(sync.run_workflow), by_client, in_a_thread(plainly)]


async def test_whether_an_id_has_started_a_run_is_asked_where_conflicts_are_errors(start, network):
    run_id = derived_id("run", "publish-draft", "order-7")
    show = network.get(f"{RUNS}/{run_id}")
    router = network.post(path__startswith="/.netlify/functions/async-workloads-router").respond(
        200, headers={"x-awl-ack": "ack"}
    )
    for begin in start:
        network.calls.clear()
        for route in (show, router):
            route.calls.clear()

        show.mock(return_value=refusal(404, "RUN_NOT_FOUND"))
        run = await begin("publish-draft", {"title": "x"}, id="order-7", on_conflict="error")
        assert (run.id, run.existed) == (run_id, False)
        assert (show.call_count, router.call_count) == (1, 1)

        show.mock(return_value=answer(run_json("running", id=run_id)))
        run = await begin("publish-draft", {"title": "x"}, id="order-7", on_conflict="error")
        assert (run.id, run.existed, run.native.status) == (run_id, True, RunStatus.RUNNING)
        with pytest.raises(RunExistsError, match="with the same id and other data") as caught:
            await begin("publish-draft", {"title": "y"}, id="order-7", on_conflict="error")
        assert caught.value.run_id == run_id
        assert (show.call_count, router.call_count) == (3, 1)  # one that is there is sent no event


async def test_nothing_is_asked_where_nothing_is_to_be_known(start, network):
    router = network.post(path__startswith="/.netlify/functions/async-workloads-router").respond(
        200, headers={"x-awl-ack": "ack"}
    )
    show = network.route(url__startswith=RUNS)
    for begin in start:
        assert (await begin("publish-draft", id="order-7")).existed is None
        assert (await begin("publish-draft", on_conflict="error")).existed is None
    assert (show.call_count, router.call_count) == (0, 2 * len(start))


async def test_what_is_no_way_to_treat_a_conflict_is_refused(start):
    for begin in start:
        with pytest.raises(ValueError, match="on_conflict must be"):
            await begin("publish-draft", on_conflict="never")


async def test_an_option_that_does_not_exist_is_refused(start, network):
    for begin in start:
        with pytest.raises(TypeError, match="dalay"):
            await begin("publish-draft", dalay="5 minutes")
    assert not network.calls


async def test_where_the_site_cannot_be_asked_nothing_is_started(start, network):
    router = network.post(path__startswith="/.netlify/functions/async-workloads-router").respond(
        200, headers={"x-awl-ack": "ack"}
    )
    network.route(url__startswith=RUNS).respond(401, headers=API)
    for begin in start:
        with pytest.raises(WorkflowError):
            await begin("publish-draft", id="order-7", on_conflict="error")
    assert not router.called
