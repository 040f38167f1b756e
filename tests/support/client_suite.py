"""
What the two clients promise of a site, wherever that is: mocked, the real engine, `kit dev`.

A module that knows a site derives a test class from `ClientSuite`, and has a fixture `site`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import pytest

from kit import (
    AsyncWorkflowClient,
    Context,
    PayloadError,
    RejectedError,
    RunStatus,
    WorkflowClient,
    define_workflow,
)
from kit.model.event import derived_id

NAME = "publish-draft"
"""The workflow that every site has. It takes anything."""


@dataclass(frozen=True)
class Arrival:
    """An event that has arrived at a site; `is_delayed` says that it waits for its time."""

    id: str
    data: Any
    priority: int = 0
    is_delayed: bool = False


class Site(Protocol):
    """A site that wants `key`, and what of `NAME` is there."""

    url: str
    key: str

    def arrivals(self) -> list[Arrival]:
        """Return the events that have arrived and were not deleted, in no order."""

    def fail(self, client: Any) -> tuple[str, str]:
        """Have *client* send an event that becomes a dead letter; return its id and name then."""

    def tries(self, event_id: str) -> int:
        """Return how often that one was tried so far, or is about to be."""


class Plain:
    """Calls the async client as if it were the plain one, so that one test fits both."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._loop = asyncio.Runner()
        self._client = AsyncWorkflowClient(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, {"close": "aclose"}.get(name, name))
        return lambda *given, **more: self._loop.run(method(*given, **more))

    def __enter__(self) -> Self:
        assert self._loop.run(self._client.__aenter__()) is self._client
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run(self._client.__aexit__(*error))
        self._loop.close()


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**53 - 1,
    1.5,
    -0.1,
    5e-324,
    1e22,
    "",
    "0",
    "1e3",
    "true",
    "null",
    "2026-11-22",
    'é☃ \N{GRINNING FACE} \u2028 \x00 \\ "quoted"',
    [],
    {},
    [[], {}, [None]],
    {"": {"nested": [1, {"deeper": [0, False, None, ""]}]}},
    {"10": "a", "9": "b", "__proto__": {"x": 1}, "constructor": None, "toString": 0},
]


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return not isinstance(one, bool) and not isinstance(other, bool) and one == float(other)
    return type(one) is type(other) and one == other


@define_workflow(name=NAME)
async def greet(input: str, context: Context) -> str:
    return input


class ClientSuite:
    """Each test is one for both clients, of what any site does."""

    @pytest.fixture(autouse=True)
    def _nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be in no project, with no settings."""
        (tmp_path / ".git").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("os.environ", {})

    @pytest.fixture(params=[WorkflowClient, Plain], ids=["plain", "async"])
    def make(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    def test_a_workflow_is_started_from_anywhere(self, site: Site, make: Any) -> None:
        key = str(uuid.uuid4())
        with make(site.url, site.key) as client:
            run = client.run_workflow(NAME, {"a": 1}, id=key, delay="2 hours", priority=5)

        assert run.id == derived_id("run", NAME, key)
        assert (run.name, run.provider, run.native.status) == (NAME, "netlify", 200)
        assert site.arrivals() == [Arrival(run.id, {"a": 1}, 5, is_delayed=True)]

    def test_what_waits_is_queued(self, site: Site) -> None:
        with WorkflowClient(site.url, site.key) as client:
            run = client.run_workflow(NAME, delay="1 hour")

            assert run.status() is RunStatus.QUEUED

    def test_one_key_is_one_run(self, site: Site, make: Any) -> None:
        key = str(uuid.uuid4())
        with make(site.url, site.key) as client:
            one, other = (client.run_workflow(NAME, id=key, delay="1 hour") for _ in range(2))

        assert one.id == other.id
        assert {each.id for each in site.arrivals()} == {one.id}

    def test_a_definition_checks_its_input(self, site: Site, make: Any) -> None:
        with make(site.url, site.key) as client:
            with pytest.raises(PayloadError, match="valid string"):
                client.run_workflow(greet, 5)
            run = client.run_workflow(greet, "x")

            assert site.arrivals() == [Arrival(run.id, "x")]

    def test_workflows_at_hand_are_listed(self, site: Site) -> None:
        with WorkflowClient(site.url, site.key) as client:
            client.run_workflow(greet, "x")

            assert client.list_workflows() == [greet]

    def test_an_event_is_sent_and_its_id_returned(self, site: Site, make: Any) -> None:
        with make(site.url, site.key) as client:
            event_id = client.send_event(NAME, [1])

        assert site.arrivals() == [Arrival(event_id, [1])]

    def test_of_several_events_each_says_whether_it_went(self, site: Site, make: Any) -> None:
        events = [(NAME, 1), (NAME, 2**60), {"name": NAME}, {"nome": "d"}]
        with make(site.url, site.key) as client:
            sent = client.send_events(events)

        assert [each.ok for each in sent] == [True, False, True, False]
        assert {each.id for each in site.arrivals()} == {sent[0].event_id, sent[2].event_id}

    def test_data_arrives_as_it_was_sent(self, site: Site, make: Any) -> None:
        with make(site.url, site.key) as client:
            sent = client.send_events([(NAME, value) for value in VALUES])

        assert [each.error for each in sent] == [None] * len(VALUES)
        found = {each.id: each.data for each in site.arrivals()}
        pairs = zip(VALUES, sent, strict=True)
        assert [value for value, each in pairs if not same(value, found[each.event_id])] == []

    def test_twenty_events_arrive_each_once(self, site: Site, make: Any) -> None:
        with make(site.url, site.key) as client:
            sent = client.send_events([(NAME, number) for number in range(20)])

        assert all(each.ok for each in sent)
        found = {each.id: each.data for each in site.arrivals()}
        assert found == {each.event_id: number for number, each in enumerate(sent)}

    def test_an_event_that_cannot_be_sent_is_refused_before_anything_is(
        self, site: Site, make: Any
    ) -> None:
        with make(site.url, site.key) as client:
            with pytest.raises(PayloadError, match=r"at '\.a' is 1152921504606846976"):
                client.send_event(NAME, {"a": 2**60})
            with pytest.raises(PayloadError, match="500000 at most"):
                client.send_event(NAME, "x" * 500_000)
            with pytest.raises(ValueError, match="Latin-1"):
                client.send_event("☃")

        assert site.arrivals() == []

    def test_who_has_a_wrong_key_is_refused(self, site: Site, make: Any) -> None:
        with make(site.url, "wr0ng-key") as client:
            with pytest.raises(RejectedError) as sending:
                client.send_event(NAME)
            with pytest.raises(RejectedError) as deleting:
                client.delete_events(everything=True)

        assert {sending.value.status_code, deleting.value.status_code} == {401}
        assert sending.value.event_id
        assert "wr0ng-key" not in str(sending.value)
        assert site.arrivals() == []

    def test_events_that_wait_are_deleted(self, site: Site, make: Any) -> None:
        with make(site.url, site.key) as client:
            gone, kept = (client.send_event(NAME, delay="1 hour") for _ in range(2))
            accepted = client.delete_events(ids=[gone])
            with pytest.raises(ValueError, match="no event is chosen"):
                client.delete_events()

            assert uuid.UUID(accepted.event_id).version == 4
            assert {each.id for each in site.arrivals()} == {kept}
            client.delete_events(states=["pending", "delayed"])
            assert site.arrivals() == []

    @pytest.mark.parametrize("by", ["ids", "names", "everything"])
    def test_a_dead_letter_is_tried_again(self, site: Site, make: Any, by: str) -> None:
        with make(site.url, site.key) as client:
            event_id, name = site.fail(client)
            chosen = {"ids": [event_id], "names": [name], "everything": True}
            before = site.tries(event_id)
            accepted = client.retry_events(**{by: chosen[by]})

            assert uuid.UUID(accepted.event_id).version == 4
            assert site.tries(event_id) == before + 1

    def test_what_is_not_given_comes_from_the_settings(
        self, site: Site, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environ = {"WORKFLOW_BASE_URL": site.url, "WORKFLOW_API_KEY": site.key}
        monkeypatch.setattr("os.environ", environ)
        with make() as client:
            event_id = client.send_event(NAME)

        assert {each.id for each in site.arrivals()} == {event_id}

    def test_a_closed_client_says_so(self, site: Site) -> None:
        client = WorkflowClient(site.url, site.key)
        client.close()
        with pytest.raises(RuntimeError, match="closed: make a new one"):
            client.send_event(NAME)

    async def test_a_closed_async_client_says_so(self, site: Site) -> None:
        client = AsyncWorkflowClient(site.url, site.key)
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed: make a new one"):
            await client.send_event(NAME)
