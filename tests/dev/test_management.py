"""Async Workloads' management of events: deleting them, and trying dead letters again."""

import uuid
from typing import Any

import httpx
import pytest

from kit.dev.events import state_of
from kit.dev.local import LocalRuns
from kit.dev.runs import Summary
from kit.model.run import RunStatus

from .asking import EVENTS, FAILED, event, send
from .conftest import ended, until


async def test_management_without_a_body_says_so(site: httpx.AsyncClient) -> None:
    for body in ("", "[]", "null", "x"):
        answer = await site.request("DELETE", EVENTS, content=body)
        assert (answer.status_code, answer.text) == (400, "")
        assert answer.headers["x-awl-reason"] == "missing valid JSON body"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", EVENTS), ("POST", EVENTS), ("DELETE", FAILED), ("POST", EVENTS + "/x")],
)
async def test_other_management_is_answered_with_nothing(
    site: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await site.request(method, path, content="{}")
    assert (answer.status_code, answer.content) == (204, b"")


async def sleeping(runs: LocalRuns, event_id: str) -> None:
    async def sleeps() -> bool:
        details = await runs.details(event_id)
        return details is not None and details.status is RunStatus.SLEEPING

    await until(sleeps)


async def status_of(runs: LocalRuns, event_id: str) -> RunStatus | None:
    details = await runs.details(event_id)
    return details.status if details else None


async def delete(site: httpx.AsyncClient, **chosen: Any) -> None:
    answer = await site.request("DELETE", EVENTS, json=chosen)
    assert answer.status_code == 200
    result = answer.json()["workloadResult"]
    assert result["sendStatus"] == "succeeded"
    uuid.UUID(result["eventId"])


async def test_chosen_events_are_deleted(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    gone, kept, dead = event(data="nap"), event(data="nap"), event(data="fail")
    await send(site, gone, kept, dead)
    for each in (gone, kept):
        await sleeping(runs, each["eventId"])
    await ended(runs, dead["eventId"])

    await delete(site)  # chooses nothing
    await delete(site, eventIds=[gone["eventId"]], states=["dead-lettered"])
    assert await status_of(runs, gone["eventId"]) is RunStatus.SLEEPING
    await delete(site, eventIds=[gone["eventId"], dead["eventId"]])

    assert await status_of(runs, gone["eventId"]) is RunStatus.CANCELLED
    assert await status_of(runs, kept["eventId"]) is RunStatus.SLEEPING
    assert await status_of(runs, dead["eventId"]) is None


@pytest.mark.parametrize("states", [[], ["hibernating"]])
async def test_all_of_a_state_are_deleted_and_no_state_means_all(
    site: httpx.AsyncClient, runs: LocalRuns, states: list[str]
) -> None:
    sent = event(data="nap")
    await send(site, sent)
    await sleeping(runs, sent["eventId"])
    await delete(site, states=["delayed", "pending"])
    assert await status_of(runs, sent["eventId"]) is RunStatus.SLEEPING
    await delete(site, states=states)
    assert await status_of(runs, sent["eventId"]) is RunStatus.CANCELLED


@pytest.mark.parametrize("by", ["eventIds", "eventNames", "all"])
async def test_dead_letters_are_tried_again_from_their_first_step(
    site: httpx.AsyncClient, runs: LocalRuns, by: str
) -> None:
    sent = event(data="fail")
    await send(site, sent)
    await ended(runs, sent["eventId"])
    chosen = {"eventIds": [sent["eventId"]], "eventNames": ["HELLO"], "all": None}
    body = {} if by == "all" else {by: chosen[by]}
    await site.post(FAILED, json={**body, **({} if by == "all" else {"eventNames": ["hello"]})})
    await ended(runs, sent["eventId"])
    details = await runs.details(sent["eventId"])
    assert details is not None
    assert len(details.attempts) == 2
    await site.post(FAILED, json={"eventNames": ["other"]})
    assert await status_of(runs, sent["eventId"]) is RunStatus.FAILED


async def test_the_internal_events_of_management_do_the_same(
    site: httpx.AsyncClient, runs: LocalRuns
) -> None:
    sent = event(data="nap")
    await send(site, sent)
    await sleeping(runs, sent["eventId"])
    await send(site, event("awl:delete-events", {"eventIds": [sent["eventId"]]}))
    assert await status_of(runs, sent["eventId"]) is RunStatus.CANCELLED


@pytest.mark.parametrize(
    ("status", "left", "state"),
    [
        (RunStatus.FAILED, 0, "dead-lettered"),
        (RunStatus.RUNNING, 0, "processing"),
        (RunStatus.QUEUED, 14_999, "pending"),
        (RunStatus.SLEEPING, 15_000, "delayed"),
        (RunStatus.SLEEPING, 86_400_000, "hibernating"),
    ],
)
def test_a_run_is_in_the_state_netlify_would_say(status: RunStatus, left: int, state: str) -> None:
    run = Summary("id", "hello", status, created=0, due=1000 + left)
    assert state_of(run, 1000) == state
