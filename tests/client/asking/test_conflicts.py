"""Whether an id has started a run before, asked of the site where it matters."""

import asyncio

import pytest

from kit import (
    AsyncWorkflowClient,
    RunExistsError,
    RunStatus,
    WorkflowClient,
    WorkflowError,
    run_workflow,
    sync,
)
from kit.model.event import derived_id

from .conftest import API, KEY, ORIGIN, RUNS, answer, refusal, run_json


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
