"""The time limit of an attempt, whatever a site drips, over connections of every kind."""

import asyncio
import itertools
import socket
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote

import httpcore
import httpx
import pytest

from kit.netlify import attempt, pool
from kit.netlify.flow import HttpRequest, probe_flow
from kit.netlify.transport import AsyncTransport, Transport

DRIPS = {
    "nothing": (b"", b""),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x-drip: 1\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nx-drip: ", b"1"),
    "100": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
    "a chunk's size": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x"),
}
"""What a site says at first, and then over and over, without end."""


LIMIT = 1.0


FAR_TOO_LONG = 100.0


class Dripping(socketserver.BaseRequestHandler):
    """Drips what the last part of the path says; as a proxy, too."""

    def handle(self):
        asked = self.request.recv(65_536).split(b" ")[1].decode()
        head, drop = DRIPS[unquote(asked.rpartition("/")[2])]
        try:
            self.request.sendall(head)
            while not self.server.stopped.wait(0.05):
                self.request.sendall(drop)
        except OSError:
            return  # whoever asked has gone


class Site(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = False


@pytest.fixture
def dripping(network):
    """The address of a site that drips."""
    network.stop(quiet=True)  # what it lets through cannot go by way of a proxy
    with Site(("127.0.0.1", 0), Dripping) as listening:
        listening.stopped = threading.Event()
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.stopped.set()
        listening.shutdown()
        thread.join()
    network.start()


def transports(make, client, transport, proxy):
    """Return transports over connections of each kind, and what has to be closed besides."""
    own, given, alone = make(timeout=LIMIT), client(), transport()
    made = {
        "own": own,
        "a client's": make(given, timeout=LIMIT),
        "a transport's": make(transport=alone, timeout=LIMIT),
        "a proxy's": proxy(lambda: make(timeout=LIMIT)),
    }
    return made, (given, alone)


@pytest.fixture
def behind_a_proxy(monkeypatch, dripping):
    def behind(make):
        with monkeypatch.context() as patched:
            patched.setenv("HTTP_PROXY", dripping)
            return make()

    return behind


def attempts(made, url):
    """Yield each kind of connection with each way to drip, and the request to make."""
    for kind, how in itertools.product(made, DRIPS):
        if kind != "own" and how not in ("a header", "103", "body"):
            continue  # the others differ in the server only
        site = "http://site.example" if kind == "a proxy's" else url
        is_body = how in ("body", "a chunk's size")
        yield (kind, how), HttpRequest("GET", f"{site}/{quote(how)}", is_whole=is_body)


def check_deadlines(told, begun):
    assert time.monotonic() - begun < FAR_TOO_LONG
    assert len(told) == len(DRIPS) + 3 * 3
    late = f"it took the connection, but did not answer within {LIMIT:g} seconds"
    busy = "the connection was not made in time; check the host name"  # as it is here at times
    assert {each.why for each in told.values()} - {busy} <= {late}
    assert all(
        each.timed_out and each.may_have_arrived for each in told.values() if each.why == late
    )


def test_the_time_limit_is_one_for_the_whole_attempt(dripping, behind_a_proxy):
    made, given = transports(Transport, httpx.Client, httpx.HTTPTransport, behind_a_proxy)
    asked = dict(attempts(made, dripping))
    begun = time.monotonic()
    with ThreadPoolExecutor(len(asked)) as threads:
        told = {
            which: threads.submit(made[which[0]].carry_out, probe_flow(request))
            for which, request in asked.items()
        }
    check_deadlines({which: future.result() for which, future in told.items()}, begun)
    for each in (*made.values(), *given):
        each.close()


async def test_the_time_limit_is_one_for_the_whole_attempt_in_async_code(dripping, behind_a_proxy):
    made, given = transports(
        AsyncTransport, httpx.AsyncClient, httpx.AsyncHTTPTransport, behind_a_proxy
    )
    asked = dict(attempts(made, dripping))
    begun = time.monotonic()
    told = await asyncio.gather(
        *(made[kind].carry_out(probe_flow(request)) for (kind, _), request in asked.items())
    )
    check_deadlines(dict(zip(asked, told, strict=True)), begun)
    for each in made.values():
        await each.close()
    for each in given:
        await each.aclose()


def test_an_answer_whose_body_drips_has_come_all_the_same(ask, dripping, monkeypatch):
    monkeypatch.setattr(attempt, "LINGER", 0.1)
    begun = time.monotonic()
    for how in ("body", "a chunk's size"):
        assert ask(HttpRequest("GET", f"{dripping}/{quote(how)}")).status == 200
    assert time.monotonic() - begun < FAR_TOO_LONG


def test_all_addresses_of_a_host_share_one_limit(monkeypatch):
    limits = []

    class Unreachable:
        def connect_tcp(self, host, port, timeout, *more):
            limits.append((host, timeout))
            time.sleep(0.03)
            raise httpcore.ConnectTimeout

    def addresses(host, port, **_):
        return [(2, 1, 6, "", (f"192.0.2.{n}", port)) for n in range(100)]

    monkeypatch.setattr(pool.socket, "getaddrinfo", addresses)
    backend = pool._Backend()
    backend._plain = Unreachable()
    with pytest.raises(httpcore.ConnectTimeout):
        backend.connect_tcp("site.example", 443, 0.1)

    assert 1 <= len(limits) < 10
    assert [left for _, left in limits] == sorted((left for _, left in limits), reverse=True)
    assert len(dict(limits)) == len(limits)


def test_a_host_that_nobody_knows_is_told(monkeypatch):
    def addresses(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(pool.socket, "getaddrinfo", addresses)
    with pytest.raises(httpcore.ConnectError, match="not known"):
        pool._Backend().connect_tcp("site.example", 443, 0.1)
