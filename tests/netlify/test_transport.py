"""Both drivers, against mocked transports and real sockets."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from kit.netlify import transport
from kit.netlify.flow import Pause, Request, probe_flow
from kit.netlify.responses import NoResponse, Response
from kit.netlify.transport import AsyncTransport, Transport

URL = "https://site.example/.netlify/functions/async-workloads-router"


@contextmanager
def server(answer):
    """Give the address of a server that says *answer* to each connection; with None, nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            held.append(connection)
            connection.recv(65_536)
            if answer is not None:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for connection in held:
            connection.close()


@pytest.fixture(params=["plain", "async"])
def ask(request):
    """Make one request, with either driver, and close it again."""

    def plain(wanted, **options):
        network = Transport(**options)
        try:
            return network.carry_out(probe_flow(wanted))
        finally:
            network.close()

    def by_loop(wanted, **options):
        async def asked():
            network = AsyncTransport(**options)
            try:
                return await network.carry_out(probe_flow(wanted))
            finally:
                await network.close()

        return asyncio.run(asked())

    return plain if request.param == "plain" else by_loop


@pytest.fixture
def real(network):
    network.route(host="127.0.0.1").pass_through()


def test_an_answer_is_told_in_values(ask, network):
    route = network.post(URL).respond(418, headers={"X-Thing": "1"}, text="tea")

    answer = ask(Request("POST", URL, {"authorization": "Bearer k"}, b"[]"))

    assert (answer.status, answer.headers["x-thing"], answer.text) == (418, "1", "tea")
    sent = route.calls.last.request
    assert sent.content == b"[]"
    assert sent.headers["authorization"] == "Bearer k"
    assert sent.headers["user-agent"].startswith("netlify-workflow-kit/")
    assert sent.headers["content-length"] == "2"


def test_redirects_are_not_followed(ask, network):
    network.get(URL).respond(302, headers={"location": "https://evil.example/"})

    assert ask(Request("GET", URL)).status == 302


@pytest.mark.parametrize(
    ("error", "words", "may_have_arrived", "timed_out"),
    [
        (httpx.ConnectError("[Errno -2] no such host"), "no such host", False, False),
        (httpx.ConnectTimeout(""), "not made in time", False, False),
        (httpx.PoolTimeout(""), "too many requests", False, False),
        (httpx.ReadTimeout(""), "did not answer within 30 seconds", True, True),
        (httpx.WriteTimeout(""), "whole request in time", True, False),
        (httpx.ProxyError("403"), "proxy", False, False),
        (httpx.ReadError(""), "connection broke", True, False),
        (httpx.RemoteProtocolError("x"), "connection broke", True, False),
        (httpx.RequestError("odd"), "the request failed (odd)", True, False),
    ],
)
def test_a_failure_is_told_in_words(ask, network, error, words, may_have_arrived, timed_out):
    network.get(URL).mock(side_effect=error)

    told = ask(Request("GET", URL))

    assert isinstance(told, NoResponse)
    assert words in told.why
    assert (told.may_have_arrived, told.timed_out) == (may_have_arrived, timed_out)


def test_a_compressed_page_is_not_quoted(ask, network):
    network.get(URL).respond(500, headers={"content-encoding": "gzip"}, content=b"")

    assert ask(Request("GET", URL)).text == ""


def test_pauses_are_taken_between_requests(network):
    network.get(URL).respond(200)

    def flow():
        yield Pause(0.25)
        yield Request("GET", URL)
        yield Pause(0.5)
        return "done"

    paused = []

    async def pause(seconds):
        paused.append(seconds)

    assert Transport(pause=paused.append).carry_out(flow()) == "done"
    assert asyncio.run(AsyncTransport(pause=pause).carry_out(flow())) == "done"
    assert paused == [0.25, 0.5] * 2


def test_pauses_pass_in_real_time_unless_told_otherwise(network):
    def flow():
        yield Pause(0.001)

    begun = time.monotonic()
    Transport().carry_out(flow())
    asyncio.run(AsyncTransport().carry_out(flow()))
    assert time.monotonic() - begun >= 0.002


def test_a_closed_network_says_so():
    network = Transport()
    network.close()
    with pytest.raises(RuntimeError, match="closed: make a new one"):
        network.carry_out(probe_flow(Request("GET", URL)))


def handler(request):
    body = request.headers.get("x-team", "none") + "," + request.headers["user-agent"][:7]
    return httpx.Response(200, headers={"x-awl-ack": "ack"}, text=body)


def test_a_given_transport_is_used_and_left_open():
    given = httpx.MockTransport(handler)
    network = Transport(transport=given)

    assert network.carry_out(probe_flow(Request("GET", URL))).text == "none,netlify"
    network.close()


async def test_a_given_async_transport_is_used_and_left_open():
    network = AsyncTransport(transport=httpx.MockTransport(handler))

    assert (await network.carry_out(probe_flow(Request("GET", URL)))).text == "none,netlify"
    await network.close()


def test_a_given_client_adds_its_headers_and_is_left_open():
    with httpx.Client(transport=httpx.MockTransport(handler), headers={"x-team": "a"}) as client:
        network = Transport(client)
        assert network.carry_out(probe_flow(Request("GET", URL))).text == "a,netlify"
        network.close()
        assert not client.is_closed


async def test_a_given_async_client_adds_its_headers_and_is_left_open():
    given = httpx.MockTransport(handler)
    async with httpx.AsyncClient(transport=given, headers={"x-team": "a"}) as client:
        network = AsyncTransport(client)
        assert (await network.carry_out(probe_flow(Request("GET", URL)))).text == "a,netlify"
        await network.close()
        assert not client.is_closed


def test_neither_the_auth_nor_the_redirects_of_a_given_client_count():
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(302, headers={"location": "https://evil.example/"})

    given = httpx.MockTransport(answer)
    with httpx.Client(transport=given, auth=("u", "p"), follow_redirects=True) as client:
        told = Transport(client).carry_out(
            probe_flow(Request("GET", URL, {"authorization": "Bearer k"}))
        )

    assert told.status == 302
    assert seen == ["Bearer k"]


def test_proxies_of_the_environment_count(monkeypatch, network, ask):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    network.get(URL).respond(204)

    assert ask(Request("GET", URL)).status == 204


@pytest.mark.usefixtures("real")
def test_a_router_that_keeps_its_body_open_has_answered(ask, monkeypatch):
    monkeypatch.setattr(transport, "LINGER", 0.05)
    head = b"HTTP/1.1 200 OK\r\nx-awl-ack: ack\r\ntransfer-encoding: chunked\r\n\r\n3\r\nack\r\n"
    with server(head) as url:
        begun = time.monotonic()
        answer = ask(Request("POST", url, {}, b"[]"))
    assert time.monotonic() - begun < 5
    assert answer == Response(200, answer.headers, "ack")


@pytest.mark.usefixtures("real")
def test_a_host_that_takes_the_connection_and_never_answers_is_told(ask):
    with server(None) as url:
        told = ask(Request("POST", url, {}, b"[]"), timeout=0.05)
    assert told.timed_out
    assert "did not answer within 0.05 seconds" in told.why


@pytest.mark.usefixtures("real")
def test_of_an_endless_page_only_the_beginning_is_read(ask, monkeypatch):
    monkeypatch.setattr(transport, "_LONGEST_BODY", 10)
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000
    with server(page) as url:
        answer = ask(Request("GET", url))
    assert answer.text.startswith("x" * 10)


@pytest.mark.usefixtures("real")
def test_a_server_that_speaks_something_else_is_told(ask):
    with server(b"-ERR unknown command\r\n\r\n") as url:
        told = ask(Request("GET", url), timeout=1)
    assert "connection broke" in told.why


@pytest.mark.usefixtures("real")
def test_a_port_where_nobody_listens_is_told(ask):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    told = ask(Request("GET", f"http://127.0.0.1:{port}/"))
    assert "no connection could be made" in told.why
    assert not told.may_have_arrived


@contextmanager
def dripping(head, drop):
    """Give the address of a server that says a head, then *drop* over and over, without end."""
    listening = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(head)
            try:
                while not stopped.wait(0.02):
                    connection.sendall(drop)
            except OSError:
                return  # whoever asked has gone

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        stopped.set()
        thread.join()
        listening.close()


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-drip: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-drip: ", b"1"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    ],
)
def test_the_time_limit_is_one_for_the_whole_attempt(ask, head, drop):
    with dripping(head, drop) as url:
        begun = time.monotonic()
        told = ask(Request("POST", url, {}, b"[]"), timeout=0.3)
    assert time.monotonic() - begun < 20
    assert told.timed_out
    assert told.may_have_arrived
    assert "did not answer within 0.3 seconds" in told.why
