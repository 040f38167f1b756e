"""The key of a client: no frame on the way of an error holds it, whatever goes wrong."""

import asyncio
import socket

import httpx
import pytest
from pydantic import SecretStr

from kit import (
    AsyncWorkflowClient,
    ConfigError,
    PayloadError,
    RejectedError,
    WorkflowClient,
)
from kit.netlify.router import ROUTER_PATH
from tests.support.client_suite import Plain
from tests.support.variables import count_frames, where_is

KEY = "s3cret-key-of-the-site"
SITE = "https://site.example"
ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


@pytest.fixture(autouse=True)
def environ(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    found = {}
    monkeypatch.setattr("os.environ", found)
    return found


def plainly(act, *arguments, **options):
    with WorkflowClient(*arguments, **options) as client:
        act(client)


def by_loop(act, *arguments, **options):
    async def acted():
        async with AsyncWorkflowClient(*arguments, **options) as client:
            await act(client)

    asyncio.run(acted())


@pytest.fixture(params=[plainly, by_loop])
def error_of(request):
    """Do something with a client, and return the error it comes to."""

    def error_of(act, *arguments, **options):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
            request.param(act, *arguments, **options)
        assert count_frames(caught.value)
        return caught.value

    return error_of


def start(client):
    return client.run_workflow("w", {"a": 1}, id="order-7")


ACTS = [
    start,
    lambda client: client.run_workflow("w", {1, 2}),
    lambda client: client.run_workflow("w", 2**60),
    lambda client: client.run_workflow(None),
    lambda client: client.run_workflow("☃"),
    lambda client: client.run_workflow("w", delay="5"),
    lambda client: client.run_workflow("w", nonsense=1),
    lambda client: client.send_event("w", float("nan")),
    lambda client: client.delete_events(),
    lambda client: client.delete_events(ids=["x"]),
    lambda client: client.delete_events(ids=[ID]),
    lambda client: client.retry_events(names=["w"]),
    lambda client: client.get_workflow_run(ID),
    lambda client: client.list_runs(),
    lambda client: client.list_runs(status="lost"),
]


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        (None, KEY),
        ("http://site.example", KEY),
        ("site.example", KEY),
        (SITE, f"{KEY} "),
        (SITE, f"{KEY}\n"),
        (SITE, SecretStr(f"{KEY}ü")),
        (SITE, [KEY]),
    ],
)
def test_settings_that_are_wrong(error_of, base_url, key):
    assert where_is(KEY, error_of(start, base_url, key)) == []


@pytest.mark.parametrize("way", ["given", "wrapped", "WORKFLOW_API_KEY", "AWL_API_KEY"])
def test_a_site_that_refuses(error_of, network, environ, way):
    network.route(host="site.example").respond(
        401, text=f"not {KEY}", headers={"x-awl-reason": KEY}
    )
    keys = {"given": (KEY,), "wrapped": (SecretStr(KEY),)}.get(way, ())
    if not keys:
        environ[way] = KEY
    for number, act in enumerate(ACTS):
        assert where_is(KEY, error_of(act, SITE, *keys)) == [], number


def mistaken(request):
    raise ZeroDivisionError


def no_connection(request):
    raise httpx.ConnectError("no")


@pytest.mark.parametrize(
    "answer",
    [mistaken, no_connection, lambda request: httpx.Response(302, headers={"location": f"/{KEY}"})],
)
def test_connections_that_are_given(error_of, answer):
    given = httpx.MockTransport(answer)
    error = error_of(lambda client: client.list_runs(), SITE, KEY, transport=given)
    assert where_is(KEY, error) == []


def test_nobody_listens(error_of, network):
    network.route(host="127.0.0.1").pass_through()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = error_of(lambda client: client.list_runs(), f"http://127.0.0.1:{port}", KEY)
    assert where_is(KEY, error) == []


def test_a_client_that_is_closed():
    client = WorkflowClient(SITE, KEY)
    client.close()
    with pytest.raises(RuntimeError) as caught:
        start(client)
    assert where_is(KEY, caught.value) == []


def test_a_wrapped_key_is_the_key(network):
    route = network.post(host="site.example").respond(200, headers={"x-awl-ack": "ack"})
    with WorkflowClient(SITE, SecretStr(KEY)) as client:
        start(client)
    assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


def variables_of(error):
    """Return what a report with local variables would show of the kit's own frames."""
    shown = []
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if "/kit/" in trace.tb_frame.f_code.co_filename:
                shown += map(repr, trace.tb_frame.f_locals.values())
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return shown


@pytest.mark.parametrize("make", [WorkflowClient, Plain], ids=["plain", "async"])
def test_no_frame_of_an_error_shows_the_key(make, network):
    with pytest.raises(ConfigError) as caught:
        make("http://site.example", KEY)
    assert KEY not in "".join(variables_of(caught.value))

    network.post(url__startswith=f"{SITE}{ROUTER_PATH}").respond(401)
    given = httpx.MockTransport(lambda request: httpx.Response(401))
    for options in ({}, {"transport": given}):
        with make(SITE, KEY, **options) as client:
            with pytest.raises(RejectedError) as caught:
                client.send_event("a")
            shown = variables_of(caught.value)
            assert shown
            assert KEY not in "".join(shown)
    with make(SITE, KEY) as client, pytest.raises(PayloadError) as caught:
        client.send_event("a", {1, 2})
    assert KEY not in "".join(variables_of(caught.value))


def test_a_mistake_below_the_transport_shows_no_key_either():
    def fail(request):
        raise ZeroDivisionError

    with WorkflowClient(SITE, KEY, transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(ZeroDivisionError) as caught:
            client.send_event("a")
        assert KEY not in "".join(variables_of(caught.value))
