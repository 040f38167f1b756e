"""
The network: the one place that imports httpx. Two drivers for one flow, plain and async.

A connection that fails is told to the flow as `NoResponse`, in words; nothing of httpx goes
further. Redirects are not followed, since that would hand the key to another place.

The head of an answer is what counts: a router acknowledges at once, and keeps its body open while
it hands the events on. So the rest is read for `LINGER` seconds, to keep the connection, no longer.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx as httpx

from kit.netlify.flow import Flow, Pause, Received, Request
from kit.netlify.responses import NoResponse, Response
from kit.version import __version__

TIMEOUT = 30.0
"""Seconds until an answer must have begun."""

CONNECT_TIMEOUT = 10.0
LINGER = 1.0
_LONGEST_BODY = 16_000
_HEADERS = {"user-agent": f"netlify-workflow-kit/{__version__}", "accept": "*/*"}

T = TypeVar("T")


class Transport:
    """
    Carries out flows, for plain code. Any number of threads may use one.

    It has pooled connections of its own, or those of the httpx client or transport it is given,
    which it then does not close.
    """

    def __init__(
        self,
        client: httpx.Client | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self._timeouts = _timeouts(timeout).as_dict()
        self._pause = pause
        self._client = client
        self._transport = transport
        self._own: httpx.Client | httpx.BaseTransport | None = None
        self._closed = False
        if client is None and transport is None:
            # a client does more than is needed here, and takes half as long again; but it alone
            # knows about proxies
            if _has_proxies():
                self._own = self._client = httpx.Client(timeout=_timeouts(timeout))
            else:
                self._own = self._transport = httpx.HTTPTransport(verify=_trust())

    def carry_out(self, flow: Flow[T]) -> T:
        """Carry out *flow* and return what it returns; raises what it raises."""
        _check_open(self._closed)
        received: Received = None
        try:
            while True:
                wanted = flow.send(received)
                if isinstance(wanted, Pause):
                    (self._pause or time.sleep)(wanted.seconds)
                    received = None
                else:
                    received = self._ask(wanted)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # the flow's T; mypy cannot know

    def close(self) -> None:
        """Close the connections, unless they came with a client that was given."""
        self._closed = True
        if self._own is not None:
            self._own.close()

    def _ask(self, request: Request) -> Response | NoResponse:
        try:
            if self._transport is not None:
                built = _built(request, self._timeouts)
                response = self._transport.handle_request(built)
            else:
                assert self._client is not None  # noqa: S101 - it is one or the other
                built = _built_by(self._client, request)
                response = self._client.send(built, stream=True, auth=None, follow_redirects=False)
        except httpx.RequestError as error:
            return _no_response(error, built)
        body = _Body(built)
        try:
            for part in response.stream:  # type: ignore[union-attr] # of a plain transport
                if body.is_enough(part):
                    break
        except httpx.RequestError:
            pass  # the head is what counts
        finally:
            response.close()
        return _response(response, body)


class AsyncTransport:
    """Carries out flows, for async code on one event loop. See `Transport`."""

    def __init__(
        self,
        client: httpx.AsyncClient | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._timeouts = _timeouts(timeout).as_dict()
        self._pause = pause
        self._client = client
        self._transport = transport
        self._own: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None
        self._closed = False
        if client is None and transport is None:
            if _has_proxies():
                self._own = self._client = httpx.AsyncClient(timeout=_timeouts(timeout))
            else:
                self._own = self._transport = httpx.AsyncHTTPTransport(verify=_trust())

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out *flow* and return what it returns; raises what it raises."""
        _check_open(self._closed)
        received: Received = None
        try:
            while True:
                wanted = flow.send(received)
                if isinstance(wanted, Pause):
                    await (self._pause or asyncio.sleep)(wanted.seconds)
                    received = None
                else:
                    received = await self._ask(wanted)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # the flow's T; mypy cannot know

    async def close(self) -> None:
        """Close the connections, unless they came with a client that was given."""
        self._closed = True
        if self._own is not None:
            await self._own.aclose()

    async def _ask(self, request: Request) -> Response | NoResponse:
        try:
            if self._transport is not None:
                built = _built(request, self._timeouts)
                response = await self._transport.handle_async_request(built)
            else:
                assert self._client is not None  # noqa: S101 - it is one or the other
                built = _built_by(self._client, request)
                response = await self._client.send(
                    built, stream=True, auth=None, follow_redirects=False
                )
        except httpx.RequestError as error:
            return _no_response(error, built)
        body = _Body(built)
        try:
            async for part in response.stream:  # type: ignore[union-attr] # of an async transport
                if body.is_enough(part):
                    break
        except httpx.RequestError:
            pass  # the head is what counts
        finally:
            await response.aclose()
        return _response(response, body)


class _Body:
    """What comes of a body within the time and size there is for it."""

    def __init__(self, request: httpx.Request) -> None:
        self.content = b""
        # httpcore looks at this again before it reads the body
        request.extensions["timeout"]["read"] = LINGER
        self._until = time.monotonic() + LINGER

    def is_enough(self, part: bytes) -> bool:
        self.content += part
        return len(self.content) > _LONGEST_BODY or time.monotonic() > self._until


def _check_open(closed: bool) -> None:
    if closed:
        msg = "this client is closed: make a new one"
        raise RuntimeError(msg)


def _has_proxies() -> bool:
    return any(urllib.request.getproxies().get(each) for each in ("http", "https", "all"))


def _timeouts(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT))


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes 30 ms, and is done once a process."""
    return httpx.create_ssl_context()


# parsing an address takes as long as sending to it; there are few, since names make them
_url = functools.lru_cache(maxsize=256)(httpx.URL)


def _built(request: Request, timeouts: Mapping[str, float | None]) -> httpx.Request:
    return httpx.Request(
        request.method,
        _url(request.url),
        headers={**_HEADERS, **request.headers},
        content=request.content,
        extensions={"timeout": {**timeouts}},
    )


def _built_by(client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    """Return the request with what a given client adds to each: its headers, cookies, time-outs."""
    return client.build_request(
        request.method,
        request.url,
        headers={"user-agent": _HEADERS["user-agent"], **request.headers},  # no name for the key
        content=request.content,
    )


def _response(given: httpx.Response, body: _Body) -> Response:
    is_plain = "content-encoding" not in given.headers
    text = body.content.decode(errors="replace") if is_plain else ""
    return Response(given.status_code, dict(given.headers), text)


def _no_response(error: httpx.RequestError, request: httpx.Request) -> NoResponse:
    timeouts: dict[str, Any] = request.extensions["timeout"]
    if isinstance(error, httpx.ReadTimeout):
        why = f"it took the connection, but did not answer within {timeouts['read']:g} seconds"
        return NoResponse(why, may_have_arrived=True, timed_out=True)
    for kind, why, may_have_arrived in _CAUSES:
        if isinstance(error, kind):
            detail = f" ({error})" if str(error) else ""
            return NoResponse(f"{why}{detail}", may_have_arrived)
    return NoResponse(f"the request failed ({error})", may_have_arrived=True)


_CAUSES: tuple[tuple[type[httpx.RequestError], str, bool], ...] = (
    (httpx.ConnectTimeout, "the connection was not made in time; check the host name", False),
    (httpx.PoolTimeout, "too many requests are under way; send fewer at once", False),
    (httpx.WriteTimeout, "it did not take the whole request in time", True),
    (httpx.ProxyError, "the proxy of this network refused; check HTTPS_PROXY", False),
    (httpx.ConnectError, "no connection could be made; check the host name and the network", False),
    (httpx.UnsupportedProtocol, "the address is not one for HTTP", False),
    (httpx.TransportError, "the connection broke before an answer", True),
)
