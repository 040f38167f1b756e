"""Async Workloads' own addresses: the answers recorded from it, and what they come to here."""

import json
import time
from typing import Any

import httpx
import pytest

from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.model.run import RunStatus

from .asking import EVENTS, ROUTER, event, send
from .conftest import Write, ended

EARLY = {"content-type": "text/plain;charset=UTF-8", "cache-control": "max-age=0,must-revalidate"}


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
