"""The runs of a deployed site: here, of another server that speaks its runs API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr

from kit.dev.app import make_app
from kit.dev.dashboard.routes import routes
from kit.dev.local import LocalRuns
from kit.dev.remote import RemoteRuns
from kit.dev.runs import Change, Source
from kit.model.errors import (
    ConnectionFailedError,
    NotSupportedError,
    PayloadError,
    RunNotFoundError,
    WorkflowError,
)
from kit.model.event import derived_id
from kit.model.run import RunStatus
from kit.netlify.site import Site

from .conftest import ORIGIN, PORT, TOKEN, ended, until

KEY = "s3cret-key"
SITE = Site(ORIGIN, SecretStr(KEY))
NOBODY = derived_id("nobody")


@pytest.fixture
async def remote(
    site: httpx.AsyncClient, runs: LocalRuns, keys: list[str]
) -> AsyncIterator[RemoteRuns]:
    keys.append(KEY)
    async with RemoteRuns(SITE, runs.live, transport=site._transport) as remote:
        yield remote


async def test_a_run_is_shown_as_it_is_there(remote: RemoteRuns, runs: LocalRuns) -> None:
    for data in ("you", "fail"):
        run_id = await runs.start("hello", data)
        await ended(runs, run_id)
        here, there = await runs.details(run_id), await remote.details(run_id)
        assert here is not None
        assert there is not None
        assert (there.run.data, there.run.result) == (here.run.data, here.run.result)
        assert (there.run.failure, there.attempts) == (here.run.failure, here.attempts)
        assert (there.status, there.steps) == (here.status, here.steps)
    assert await remote.details(NOBODY) is None
    assert await remote.details("../etc") is None
    assert remote.source == Source("site", ORIGIN)


async def test_runs_are_listed_and_found(remote: RemoteRuns, runs: LocalRuns) -> None:
    started = [await runs.start("hello", number) for number in range(5)]
    bad = await runs.start("hello", "fail")
    await ended(runs, bad)
    seen: list[str] = []
    cursor = None
    while True:
        page = await remote.page(cursor=cursor, limit=2)
        seen += [run.id for run in page.runs]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted([*started, bad])
    [failed] = (await remote.page(statuses=[RunStatus.FAILED], workflow="hello")).runs
    assert (failed.id, failed.error) == (bad, "ValueError: no more")
    [found] = (await remote.page(text=bad[:13].upper(), limit=1)).runs
    assert found.id == bad
    with pytest.raises(ValueError, match="is no cursor"):
        await remote.page(cursor="x")


async def test_runs_are_stopped_tried_again_and_deleted(
    remote: RemoteRuns, runs: LocalRuns
) -> None:
    run_id = await runs.start("hello", "nap")

    async def sleeps() -> bool:
        [run] = (await remote.page()).runs
        return run.status is RunStatus.SLEEPING

    await until(sleeps)
    assert not await remote.retry(run_id)
    assert not await remote.delete(run_id)
    assert await remote.stop(run_id)
    assert not await remote.stop(run_id)
    assert await remote.retry(run_id, from_start=True)
    await until(sleeps)
    assert await remote.stop(run_id)
    assert await remote.delete(run_id)
    for act in (remote.stop, remote.retry, remote.delete):
        with pytest.raises(RunNotFoundError):
            await act(run_id)


async def test_a_workflow_is_started_there(
    remote: RemoteRuns, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.remote._ARRIVES", (0, 0))  # it never does
    router = network.post(url__startswith=f"{ORIGIN}/.netlify/functions/async-workloads-router")
    router.respond(200, headers={"x-awl-ack": "ack"})
    changes = remote.changes()
    run_id = await remote.start("HELLO", "you", id="k")
    assert run_id == derived_id("run", "hello", "k")
    assert router.calls.last.request.headers["authorization"] == f"Bearer {KEY}"
    assert await anext(changes) == Change(frozenset({run_id}))
    with pytest.raises(PayloadError):
        await remote.start("hello", 2**60)
    await remote.start("unknown.here", 1)


async def test_a_site_that_is_silent_does_not_keep_whoever_starts_a_run(
    remote: RemoteRuns, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return httpx.Response(200)

    network.post(url__startswith=ORIGIN).mock(side_effect=hold)
    monkeypatch.setattr("kit.dev.remote.START_SECONDS", 0.05)
    with pytest.raises(ConnectionFailedError, match="did not answer within"):
        await remote.start("hello", "you")


async def test_a_run_is_not_waited_for_where_the_site_says_nothing_of_runs(
    remote: RemoteRuns, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def details(run_id: str) -> None:
        await asyncio.Event().wait()

    router = network.post(url__startswith=f"{ORIGIN}/.netlify/functions/async-workloads-router")
    router.respond(200, headers={"x-awl-ack": "ack"})
    monkeypatch.setattr(remote, "details", details)
    monkeypatch.setattr("kit.dev.remote.ARRIVAL_SECONDS", 0.05)
    assert await remote.start("hello", "you", id="k") == derived_id("run", "hello", "k")


async def test_the_site_is_asked_only_while_somebody_looks(
    remote: RemoteRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.remote.POLL_SECONDS", 0)
    async with RemoteRuns(SITE, remote._live) as polled:
        assert await anext(polled.changes()) == Change(is_everything=True)


async def test_what_was_done_is_looked_at_soon(
    site: httpx.AsyncClient, runs: LocalRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.dev.remote.POLL_SECONDS", 1_000)
    monkeypatch.setattr("kit.dev.remote.SOON_SECONDS", 0)
    run_id = await runs.start("hello", "nap")
    async with RemoteRuns(SITE, runs.live, transport=site._transport) as remote:
        changes = remote.changes()
        assert await remote.stop(run_id)
        change = await anext(changes)
        while not change.is_everything:
            change = await asyncio.wait_for(anext(changes), 50)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404, text="Not Found"), "has no runs API (it answered 404)"),
        (httpx.Response(200, text="<html>"), "has no runs API (it answered 200)"),
        (httpx.Response(302, headers={"location": "/x"}), "has no runs API (it answered 302)"),
        (
            httpx.Response(
                401,
                headers={"x-kit-runs": "1"},
                json={"error": {"code": "UNAUTHORIZED", "message": f"{KEY} is wrong"}},
            ),
            "Set WORKFLOW_API_KEY",
        ),
        (httpx.ConnectError(f"refused {KEY}"), "did not answer: no connection could be made"),
    ],
)
async def test_what_goes_wrong_says_what_to_do_and_never_the_key(
    runs: LocalRuns, answer: Any, said: str
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async with RemoteRuns(SITE, runs.live, transport=httpx.MockTransport(respond)) as remote:
        for act in (remote.page(), remote.details(NOBODY), remote.stop(NOBODY)):
            with pytest.raises(WorkflowError) as caught:
                await act
            assert said in str(caught.value)
            assert KEY not in str(caught.value)
        if "no runs API" in said:
            assert isinstance(caught.value, NotSupportedError)


async def test_its_dashboard_never_shows_the_key(remote: RemoteRuns, runs: LocalRuns) -> None:
    await ended(runs, await runs.start("hello", "you"))
    app: Any = make_app(port=PORT, token=TOKEN, dashboard=routes(remote, token=TOKEN))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        [run] = (await remote.page()).runs
        for path in ("/_kit/", f"/_kit/runs/{run.id}", "/_kit/workflows", "/_kit/dead-letters"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert KEY not in answer.text
        assert run.id in (await client.get("/_kit/")).text
