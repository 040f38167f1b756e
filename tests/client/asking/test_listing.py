"""Runs of a site in lists, and asked for by the clients of one site."""

import asyncio

import httpx
import pytest

from kit import (
    AsyncWorkflowClient,
    RunStatus,
    WorkflowClient,
    list_runs,
    sync,
)

from .conftest import ID, KEY, ORIGIN, RUNS, answer, page, run_json, told


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
