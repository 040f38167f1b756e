"""The two clients: one rule, two drivers. What they promise of any site is in `ClientSuite`."""

import inspect
import json
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest

from kit import (
    ArgumentError,
    AsyncWorkflowClient,
    ConfigError,
    LoopDetectedError,
    WorkflowClient,
)
from kit.model.delivery import Completed
from kit.model.event import derived_id
from kit.netlify.management import EVENTS_PATH, FAILED_EVENTS_PATH
from kit.netlify.router import ROUTER_PATH
from tests.support.client_suite import Arrival, ClientSuite, Plain

SITE = "https://site.example"
ROUTER = f"{SITE}{ROUTER_PATH}"
API = f"{SITE}/.netlify/functions/async-workloads-api"
KEY = "s3cret-key"
ACK = {"x-awl-ack": "ack"}
DONE = {"workloadResult": {"sendStatus": "succeeded", "eventId": derived_id("run", "x")}}


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})


@pytest.fixture(params=[WorkflowClient, Plain], ids=["plain", "async"])
def make(request):
    return request.param


@pytest.fixture
def router(network):
    network.get(path__startswith="/.netlify/functions/kit-runs").respond(404, text="Not Found")
    network.post(path__startswith="/.netlify/functions/kit-runs").respond(404, text="Not Found")
    return network.post(url__startswith=ROUTER).respond(200, headers=ACK)


def bodies(route):
    return [json.loads(call.request.content) for call in route.calls]


class Mocked:
    """A site that keeps what it is sent, and forgets what is deleted."""

    url, key = SITE, KEY

    def __init__(self, network):
        self._kept, self._tries = {}, Counter()
        network.route(host="site.example").mock(side_effect=self._answer)

    def arrivals(self):
        return [
            Arrival(each["eventId"], each["data"], each.get("priority", 0), "delayUntil" in each)
            for each in self._kept.values()
        ]

    def fail(self, client):
        return client.send_event("fails"), "fails"

    def tries(self, event_id):
        return self._tries[event_id]

    def _answer(self, request):
        path = request.url.path
        if path.startswith("/.netlify/functions/kit-runs"):
            return httpx.Response(404, text="Not Found")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return httpx.Response(401)
        content = json.loads(request.content)
        takers = {
            ROUTER_PATH: self._take,
            EVENTS_PATH: self._delete,
            FAILED_EVENTS_PATH: self._retry,
        }
        return takers[path](content)

    def _take(self, events):
        self._kept |= {each["eventId"]: each for each in events}
        self._tries.update(each["eventId"] for each in events)
        return httpx.Response(200, headers=ACK)

    def _delete(self, chosen):
        for event_id in chosen.get("eventIds") or list(self._kept):
            del self._kept[event_id]
        return httpx.Response(200, json=DONE)

    def _retry(self, chosen):
        self._tries.update(chosen.get("eventIds") or list(self._kept))
        return httpx.Response(200, json=DONE)


class TestAMockedSite(ClientSuite):
    @pytest.fixture
    def site(self, network):
        return Mocked(network)


def test_what_is_sent_has_the_key_and_says_where_and_when(make, router):
    with make(SITE, KEY) as client:
        run = client.run_workflow("greet", {"a": 1}, id="order-7", delay="2 days", priority=5)

    [[sent]] = bodies(router)
    assert run.id == sent["eventId"] == derived_id("run", "greet", "order-7")
    assert run.name == "greet"
    assert run.provider == "netlify"
    assert run.native.status == 200
    assert sent["data"] == {"a": 1}
    assert sent["priority"] == 5
    assert sent["delayUntil"] > 0
    assert router.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


def test_events_are_deleted_and_retried(make, network):
    delete = network.delete(f"{API}/events").respond(200, json=DONE)
    retry = network.post(f"{API}/failed-events").respond(200, json=DONE)
    with make(SITE, KEY) as client:
        assert client.delete_events(states=["pending"]).event_id == derived_id("run", "x")
        assert client.retry_events(names=["greet"]).event_id == derived_id("run", "x")
        with pytest.raises(ValueError, match="no event is chosen"):
            client.delete_events()

    assert bodies(delete) == [{"states": ["pending"]}]
    assert bodies(retry) == [{"eventNames": ["greet"]}]


WRONG_STARTS = [
    ("", {}),
    ("a ", {}),
    ("łódź", {}),
    ("awl:x", {}),
    ("x" * 400, {}),
    ("w", {"id": ""}),
    ("w", {"id": "\ud800"}),
    ("w", {"delay": "5"}),
    ("w", {"delay": float("nan")}),
    ("w", {"delay": 1, "delay_until": datetime.now(UTC)}),
    ("w", {"delay_until": datetime.now()}),  # noqa: DTZ005
    ("w", {"priority": 51}),
    ("w", {"priority": "5"}),
    ("w", {"on_conflict": "never"}),
]


@pytest.mark.parametrize(("name", "options"), WRONG_STARTS)
def test_a_start_that_cannot_be_is_an_error_of_the_kit(make, router, name, options):
    with make(SITE, KEY) as client:
        with pytest.raises(ArgumentError) as caught:
            client.run_workflow(name, **options)
        if "on_conflict" not in options:
            with pytest.raises(ArgumentError):
                client.send_event(name, **options)
            [sent] = client.send_events([{"name": name, **options}])
            assert isinstance(sent.error, ArgumentError)

    assert not router.called
    assert isinstance(caught.value, ValueError)
    assert (caught.value.code, caught.value.http_status) == ("ARGUMENT_INVALID", 400)


def test_what_else_is_asked_of_a_site_wrongly_is_an_error_of_the_kit(make, router):
    with pytest.raises(ArgumentError, match="timeout must be"):
        make(SITE, KEY, timeout=0)
    with make(SITE, KEY) as client:
        for asked in (
            lambda: client.list_runs(status="lost"),
            lambda: client.list_runs(limit=0),
            lambda: client.delete_events(),
            lambda: client.delete_events(ids=["x"]),
            lambda: client.delete_events(states=["lost"]),
            lambda: client.retry_events(names=[""]),
        ):
            with pytest.raises(ArgumentError):
                asked()

    assert not router.called


def test_a_client_or_transport_can_be_given():
    given = httpx.MockTransport(lambda request: httpx.Response(200, headers=ACK))

    with WorkflowClient(SITE, KEY, transport=given) as client:
        client.send_event("a")
    with httpx.Client(transport=given) as own, WorkflowClient(SITE, KEY, client=own) as client:
        client.send_event("a")
    with Plain(SITE, KEY, transport=given) as client:
        client.send_event("a")
    own_async = httpx.AsyncClient(transport=given)
    with Plain(SITE, KEY, client=own_async) as client:
        client.send_event("a")
        client._loop.run(own_async.aclose())


def test_a_client_is_shown_without_its_key():
    assert repr(WorkflowClient(SITE, KEY)) == f"WorkflowClient('{SITE}')"


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://site.example/some/path?x=1#y", SITE),
        ("https://site.example/", SITE),
        ("HTTPS://Site.EXAMPLE:443", SITE),
        ("http://[::1]:8888/x", "http://[::1]:8888"),
        ("http://LOCALHOST:8888/", "http://localhost:8888"),
    ],
)
def test_of_an_address_the_origin_counts(network, given, origin):
    route = network.post(url__startswith=f"{origin}/.netlify/functions/async").respond(
        200, headers=ACK
    )
    with WorkflowClient(given, KEY) as client:
        client.send_event("a")

    [[sent]] = bodies(route)
    assert sent["baseUrl"] == origin


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://user:pass@site.example", "user name or password"),
        ("http://site.example", "plain http"),
        ("site.example", "did you mean 'https://site.example'"),
        ("ftp://site.example", "scheme 'ftp'"),
        ("http://[::1", "no address"),
        ("", "empty"),
        (None, "set WORKFLOW_BASE_URL"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(make, given, words):
    with pytest.raises(ConfigError, match="(?s)" + words.replace("(", r"\(")) as caught:
        make(given, KEY)
    assert KEY not in str(caught.value)
    assert "pass@" not in str(caught.value)


async def test_what_a_workflow_sends_by_a_client_belongs_to_its_chain(deliver, router):
    async def handler(input, context):
        async with AsyncWorkflowClient(SITE, KEY) as client:
            await client.send_event("one")
            await client.send_event("two", id="key")
            sent = await client.send_events([("three", 1), ("☃", 1)])
        return [each.ok for each in sent]

    stage = await deliver(handler)

    assert isinstance(stage.outcome, Completed)
    chains = [each["eventChain"] for body in bodies(router) for each in body]
    assert chains == [["w", "one"], ["w", "two"], ["w", "three"]]


async def test_a_chain_that_is_too_long_is_refused_by_a_client_too(deliver, router, monkeypatch):
    monkeypatch.setattr("kit.model.event.CHAIN_LIMIT", 2)

    async def handler(input, context):
        async with AsyncWorkflowClient(SITE, KEY) as client:
            [sent] = await client.send_events([("w", 1)])
            assert isinstance(sent.error, LoopDetectedError)
            await client.send_event("w")

    stage = await deliver(handler)

    assert "break the circle" in stage.outcome.failure.message
    assert not router.called


def test_both_clients_take_the_same_arguments():
    for name in ("run_workflow", "send_event", "send_events", "delete_events", "retry_events"):
        one = inspect.signature(getattr(WorkflowClient, name)).parameters
        other = inspect.signature(getattr(AsyncWorkflowClient, name)).parameters
        assert one == other
