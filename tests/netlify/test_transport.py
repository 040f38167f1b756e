"""Both drivers, against mocked transports and real sockets."""

import asyncio
import socket
import time
from contextvars import ContextVar

import httpx
import pytest
from pydantic import SecretStr

from kit.model.errors import ConfigError
from kit.netlify import attempt
from kit.netlify.flow import HttpRequest, Pause, probe_flow
from kit.netlify.responses import NoResponse, Response
from kit.netlify.transport import AsyncTransport, Transport
from tests.support.listening import server

URL = "https://site.example/.netlify/functions/async-workloads-router"


def test_an_answer_is_told_in_values(ask, network):
    route = network.post(URL).respond(418, headers={"X-Thing": "1"}, text="tea")

    answer = ask(HttpRequest("POST", URL, content=b"[]", key=SecretStr("k")))

    assert (answer.status, answer.headers["x-thing"], answer.text) == (418, "1", "tea")
    sent = route.calls.last.request
    assert sent.content == b"[]"
    assert sent.headers["authorization"] == "Bearer k"
    assert sent.headers["user-agent"].startswith("netlify-workflow-kit/")
    assert sent.headers["content-length"] == "2"


def test_redirects_are_not_followed(ask, network):
    network.get(URL).respond(302, headers={"location": "https://evil.example/"})

    assert ask(HttpRequest("GET", URL)).status == 302


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

    told = ask(HttpRequest("GET", URL))

    assert isinstance(told, NoResponse)
    assert words in told.why
    assert (told.may_have_arrived, told.timed_out) == (may_have_arrived, timed_out)


def test_a_compressed_page_is_not_quoted(ask, network):
    network.get(URL).respond(500, headers={"content-encoding": "gzip"}, content=b"")

    assert ask(HttpRequest("GET", URL)).text == ""


def test_pauses_are_taken_between_requests(network):
    network.get(URL).respond(200)

    def flow():
        yield Pause(0.25)
        yield HttpRequest("GET", URL)
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
        network.carry_out(probe_flow(HttpRequest("GET", URL)))


def handler(request):
    body = request.headers.get("x-team", "none") + "," + request.headers["user-agent"][:7]
    return httpx.Response(200, headers={"x-awl-ack": "ack"}, text=body)


def test_a_given_transport_is_used_and_left_open():
    given = httpx.MockTransport(handler)
    network = Transport(transport=given)

    assert network.carry_out(probe_flow(HttpRequest("GET", URL))).text == "none,netlify"
    network.close()


async def test_a_given_async_transport_is_used_and_left_open():
    network = AsyncTransport(transport=httpx.MockTransport(handler))

    assert (await network.carry_out(probe_flow(HttpRequest("GET", URL)))).text == "none,netlify"
    await network.close()


def test_a_given_client_adds_its_headers_and_is_left_open():
    with httpx.Client(transport=httpx.MockTransport(handler), headers={"x-team": "a"}) as client:
        network = Transport(client)
        assert network.carry_out(probe_flow(HttpRequest("GET", URL))).text == "a,netlify"
        network.close()
        assert not client.is_closed


async def test_a_given_async_client_adds_its_headers_and_is_left_open():
    given = httpx.MockTransport(handler)
    async with httpx.AsyncClient(transport=given, headers={"x-team": "a"}) as client:
        network = AsyncTransport(client)
        assert (await network.carry_out(probe_flow(HttpRequest("GET", URL)))).text == "a,netlify"
        await network.close()
        assert not client.is_closed


def test_neither_the_auth_nor_the_redirects_of_a_given_client_count():
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(302, headers={"location": "https://evil.example/"})

    given = httpx.MockTransport(answer)
    with httpx.Client(transport=given, auth=("u", "p"), follow_redirects=True) as client:
        told = Transport(client).carry_out(probe_flow(HttpRequest("GET", URL, key=SecretStr("k"))))

    assert told.status == 302
    assert seen == ["Bearer k"]


def test_proxies_of_the_environment_count(monkeypatch, network, ask):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    network.get(URL).respond(204)

    assert ask(HttpRequest("GET", URL)).status == 204


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("HTTPS_PROXY", "foo://127.0.0.1", "Unknown scheme"),
        ("ALL_PROXY", "http://[::1", "Invalid port"),
        ("HTTP_PROXY", "http://me:hunter2@[::1", "Invalid"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_wrong_setting(monkeypatch, name, value, why):
    monkeypatch.setenv(name, value)
    for make in (Transport, AsyncTransport):
        with pytest.raises(ConfigError, match=f"HTTPS_PROXY.*cannot be used: {why}") as caught:
            make()
        assert "hunter2" not in caught.value.message


@pytest.mark.usefixtures("real")
def test_a_router_that_keeps_its_body_open_has_answered(ask, monkeypatch):
    monkeypatch.setattr(attempt, "LINGER", 0.05)
    head = b"HTTP/1.1 200 OK\r\nx-awl-ack: ack\r\ntransfer-encoding: chunked\r\n\r\n3\r\nack\r\n"
    with server(head) as url:
        begun = time.monotonic()
        answer = ask(HttpRequest("POST", url, {}, b"[]"))
    assert time.monotonic() - begun < 25  # it would wait for 30
    assert answer == Response(200, answer.headers, "ack")


@pytest.mark.usefixtures("real")
def test_of_an_endless_page_only_the_beginning_is_read(ask, monkeypatch):
    monkeypatch.setattr(attempt, "_LONGEST_BODY", 10)
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000
    with server(page) as url:
        answer = ask(HttpRequest("GET", url))
    assert answer.text.startswith("x" * 10)


@pytest.mark.usefixtures("real")
def test_a_server_that_speaks_something_else_is_told(ask):
    with server(b"-ERR unknown command\r\n\r\n") as url:
        told = ask(HttpRequest("GET", url))
    assert "connection broke" in told.why


@pytest.mark.usefixtures("real")
def test_a_port_where_nobody_listens_is_told(ask):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    told = ask(HttpRequest("GET", f"http://127.0.0.1:{port}/"))
    assert "no connection could be made" in told.why
    assert not told.may_have_arrived


def test_what_goes_wrong_in_a_given_client_is_raised_where_it_was_used():
    def fail(request):
        raise ZeroDivisionError

    client = httpx.Client(transport=httpx.MockTransport(fail))
    with client, pytest.raises(ZeroDivisionError):
        Transport(client).carry_out(probe_flow(HttpRequest("GET", URL)))
    with pytest.raises(RuntimeError, match="closed"):
        Transport(client).carry_out(probe_flow(HttpRequest("GET", URL)))


def test_a_given_client_is_used_in_the_context_of_its_caller():
    asked_for = ContextVar("asked_for", default="nobody")
    seen = []

    def answer(request):
        seen.append(asked_for.get())
        return httpx.Response(204)

    asked_for.set("somebody")
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        Transport(client).carry_out(probe_flow(HttpRequest("GET", URL)))
    assert seen == ["somebody"]


@pytest.mark.parametrize(
    ("status", "key", "text"),
    [
        (401, "a-key-that-is-long", "no page for (the key)"),
        (200, "a-key-that-is-long", "no page for a-key-that-is-long"),
        (401, "a", "no page for a"),
    ],
)
def test_an_error_page_that_repeats_the_key_is_told_without_it(ask, network, status, key, text):
    network.get(URL).respond(status, text=f"no page for {key}", headers={"x-awl-reason": key})
    answer = ask(HttpRequest("GET", URL, key=SecretStr(key)))

    assert answer.text == text
    assert text.endswith(answer.headers["x-awl-reason"])


@pytest.mark.parametrize("timeout", [0, -1, None, "5", float("nan"), float("inf"), 1e9])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    for make in (Transport, AsyncTransport):
        with pytest.raises(ValueError, match="timeout must be a number of seconds above 0"):
            make(timeout=timeout)


def test_what_could_not_carry_a_request_out_is_refused():
    with httpx.Client() as client, pytest.raises(TypeError, match=r"httpx\.AsyncClient is needed"):
        AsyncTransport(client)
    with pytest.raises(TypeError, match=r"an httpx\.Client is needed here, not 5"):
        Transport(5)
    with pytest.raises(TypeError, match=r"an httpx\.BaseTransport is needed"):
        Transport(transport=httpx.AsyncHTTPTransport())
