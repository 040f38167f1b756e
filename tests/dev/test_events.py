"""Async Workloads' own addresses: the answers recorded from it, and what they come to here."""

import json
import time
import uuid
from typing import Any

import httpx
import pytest

from kit.dev.events import state_of
from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.dev.runs import Summary
from kit.model.run import RunStatus

from .conftest import Write, ended, until

ROUTER = "/.netlify/functions/async-workloads-router"
EVENTS = "/.netlify/functions/async-workloads-api/events"
FAILED = "/.netlify/functions/async-workloads-api/failed-events"
EARLY = {"content-type": "text/plain;charset=UTF-8", "cache-control": "max-age=0,must-revalidate"}


async def send(site: httpx.AsyncClient, *events: dict[str, Any], **headers: str) -> httpx.Response:
    return await site.post(ROUTER, content=json.dumps(list(events)), headers=headers)


def event(name: str = "hello", data: Any = None, **more: Any) -> dict[str, Any]:
    return {"eventName": name, "eventId": str(uuid.uuid4()), "data": data, **more}


async def data_of(runs: LocalRuns, event_id: str) -> Any:
    details = await runs.details(event_id)
    assert details is not None
    return json.loads(details.run.data)


async def test_an_event_is_acknowledged_and_starts_its_run(
    site: httpx.AsyncClient, runs: LocalRuns
) -> None:
    sent = event("HELLO", "you")
    answer = await send(site, sent)
    assert (answer.status_code, answer.text) == (200, "ack")
    assert answer.headers["x-awl-ack"] == "ack"
    assert answer.headers["cache-control"] == "max-age=0,must-revalidate"
    run = await ended(runs, sent["eventId"])
    assert run.result == '"hello you"'


REFUSED = [
    "",
    "not json",
    "{}",
    "[]",
    "[{}]",
    "[null]",
    '[{"eventName":5}]',
    '[{"eventName":"  "}]',
    '"text"',
    '[{"eventName":"t.nobody"},{"eventName":5}]',
    '[{"eventName":"hello","data":NaN}]',
]


@pytest.mark.parametrize("body", REFUSED)
async def test_odd_bodies_are_refused_as_recorded(site: httpx.AsyncClient, body: str) -> None:
    answer = await site.post(ROUTER, content=body)
    assert (answer.status_code, answer.text) == (400, "")
    assert answer.headers["x-awl-reason"] == "body contained no valid events to process"
    assert EARLY.items() <= answer.headers.items()


@pytest.mark.parametrize(
    "body",
    [
        '{"eventName":"t.nobody"}',
        '[{"eventName":"t.nobody"}]',
        '[{"eventName":"t.nobody"},{}]',
        '[{"eventName":" hello "}]',
        '[{"eventName":"☃"}]',
    ],
)
async def test_an_event_nobody_wants_is_taken_and_dropped(
    site: httpx.AsyncClient, runs: LocalRuns, body: str
) -> None:
    answer = await site.post(ROUTER, content=body)
    assert (answer.status_code, answer.text) == (200, "ack")
    assert (await runs.page()).runs == ()


async def test_a_dropped_event_is_told_of(site: httpx.AsyncClient, told: list[str]) -> None:
    await send(site, event("helo"))
    assert told == ["event 'helo' was dropped, as on Netlify: no workflow has this name"]


async def test_get_is_answered_as_recorded(site: httpx.AsyncClient) -> None:
    answer = await site.get(ROUTER)
    assert answer.headers["x-awl-reason"] == "body contained no valid events to process"


async def test_without_any_workflow_nothing_is_acknowledged(
    site: httpx.AsyncClient, project: DevProject
) -> None:
    (project.root / "functions/workflows/hello.py").unlink()
    await project.load()
    answer = await send(site, event())
    assert answer.status_code == 200
    assert "x-awl-ack" not in answer.headers
    assert answer.headers["x-awl-reason"] == "no workloads configured to use this event"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("right", 401),
        ("Bearer right", 200),
        ("bearer right", 200),
        ("Basic bearer right", 200),
        ("Bearer right extra", 200),
    ],
)
@pytest.mark.parametrize("path", [ROUTER, EVENTS])
async def test_a_key_that_is_set_is_wanted(
    site: httpx.AsyncClient, keys: list[str], header: str | None, status: int, path: str
) -> None:
    keys.append("right")
    headers = {} if header is None else {"authorization": header}
    method = "POST" if path == ROUTER else "DELETE"
    body = '{"eventName":"x"}' if path == ROUTER else "{}"
    answer = await site.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["x-awl-reason"] == "invalid API key"
        assert EARLY.items() <= answer.headers.items()
        assert answer.text == ""


async def test_without_a_key_any_or_none_will_do(site: httpx.AsyncClient) -> None:
    assert (await send(site, event())).status_code == 200
    assert (await send(site, event(), authorization="Bearer whatever")).status_code == 200


async def test_delay_priority_and_chain_are_kept(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    due = int(time.time() * 1000) + 3_600_000
    sent = event(delayUntil=due, priority=7, eventChain=["first", "hello"])
    await send(site, sent)
    details = await runs.details(sent["eventId"])
    assert details is not None
    run = details.run
    assert (run.status, run.due, run.priority) == (RunStatus.QUEUED, due, 7)
    assert run.chain == ("first",)


@pytest.mark.parametrize("delay", ["1 day", "2099-01-01", True, 5, None])
async def test_a_delay_that_is_no_moment_counts_as_none(
    site: httpx.AsyncClient, runs: LocalRuns, delay: Any
) -> None:
    sent = event(delayUntil=delay)
    await send(site, sent)
    assert (await ended(runs, sent["eventId"])).status is RunStatus.COMPLETED


async def test_ids_are_made_and_odd_ones_become_good_ones(
    site: httpx.AsyncClient, runs: LocalRuns
) -> None:
    for event_id in (None, "order-7", "order-7", 7):
        await send(site, event(eventId=event_id))
    assert len((await runs.page()).runs) == 3


async def test_one_id_is_one_run(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    sent = event()
    await send(site, sent)
    await send(site, sent)
    assert len((await runs.page()).runs) == 1


async def test_a_group_of_events_starts_each(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    sent = [event(data=number) for number in range(10)]
    await send(site, *sent)
    assert [await data_of(runs, each["eventId"]) for each in sent] == list(range(10))


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


async def test_a_body_beyond_netlifys_limit_is_refused(site: httpx.AsyncClient) -> None:
    answer = await site.post(ROUTER, content=b"x" * (6 * 1024 * 1024 + 1))
    assert answer.status_code == 413

    async def pieces() -> Any:
        for _ in range(7):
            yield b"x" * 1024 * 1024

    answer = await site.post(ROUTER, content=pieces())
    assert answer.status_code == 413


async def test_a_workflow_file_may_come_later(
    site: httpx.AsyncClient, runs: LocalRuns, project: DevProject, write: Write
) -> None:
    text = (project.root / "functions/workflows/hello.py").read_text()
    write("functions/workflows/more/other.py", text)
    await project.load()
    sent = event("more/other", 1)
    await send(site, sent)
    assert (await ended(runs, sent["eventId"])).result == '"hello 1"'
