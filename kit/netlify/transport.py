"""
The network: the one place that imports httpx. Two drivers for one flow, plain and async.

A connection that fails is told to the flow as `NoResponse`, in words; nothing of httpx goes
further. Redirects are not followed, since that would hand the key to another place.

The head of an answer is what counts: a router acknowledges at once, and keeps its body open while
it hands the events on. So the rest is read for `LINGER` seconds, to keep the connection, no longer;
all of it only where a request says so.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import ssl
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx as httpx

from kit.netlify.causes import no_response
from kit.netlify.flow import Flow, Pause, Received, Request
from kit.netlify.pool import as_core, as_errors_of, make_pool, within
from kit.netlify.responses import NoResponse, Response
from kit.version import __version__

TIMEOUT = 30.0
"""Seconds until an answer must have begun, from the moment the request is made."""

CONNECT_TIMEOUT = 10.0
LINGER = 1.0
_LONGEST_BODY = 16_000
_LONGEST_WHOLE_BODY = 20_000_000
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
        self._seconds = timeout
        self._timeouts = _timeouts(timeout).as_dict()
        self._pause = pause
        self._client = client
        self._transport = transport
        self._own: httpx.Client | httpx.BaseTransport | None = None
        self._closed = False
        self._pid = os.getpid()
        if client is None and transport is None:
            self._connect()

    def carry_out(self, flow: Flow[T]) -> T:
        """Carry out *flow* and return what it returns; raises what it raises."""
        _check_open(self._closed)
        if self._own is not None and self._pid != os.getpid():
            self._connect()  # those it had are those of the process that forked this one
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

    def _connect(self) -> None:
        self._pid = os.getpid()
        # a client does more than is needed here, and takes half as long again; but it alone
        # knows about proxies
        if _has_proxies():
            self._own = self._client = httpx.Client(timeout=_timeouts(self._seconds))
        else:
            self._own = self._transport = _Pool()

    def _ask(self, request: Request) -> Response | NoResponse:
        built = _built(request, self._timeouts, self._client)
        try:
            with within(self._seconds):
                response = self._response(built)
        except httpx.RequestError as error:
            return no_response(error, _limit(built))
        body = _Body(built, is_whole=request.is_whole)
        try:
            for part in response.stream:  # type: ignore[union-attr] # of a plain transport
                if body.is_enough(part):
                    break
        except httpx.RequestError as error:
            if request.is_whole:
                return no_response(error, _limit(built))
            # else the head is what counts
        finally:
            response.close()
        return _response(response, body)

    def _response(self, built: httpx.Request) -> httpx.Response:
        if self._client is not None:
            return self._client.send(built, stream=True, auth=None, follow_redirects=False)
        assert self._transport is not None  # noqa: S101 - it is one or the other
        return self._transport.handle_request(built)


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
        # a moment more, so that a connection that is not made says so itself
        self._deadline = timeout + 0.1 if client is None else None
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
        built = _built(request, self._timeouts, self._client)
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._response(built)
        except httpx.RequestError as error:
            return no_response(error, _limit(built))
        except TimeoutError:
            return no_response(httpx.ReadTimeout(""), _limit(built))
        body = _Body(built, is_whole=request.is_whole)
        try:
            async for part in response.stream:  # type: ignore[union-attr] # of an async transport
                if body.is_enough(part):
                    break
        except httpx.RequestError as error:
            if request.is_whole:
                return no_response(error, _limit(built))
            # else the head is what counts
        finally:
            await response.aclose()
        return _response(response, body)

    async def _response(self, built: httpx.Request) -> httpx.Response:
        if self._client is not None:
            return await self._client.send(built, stream=True, auth=None, follow_redirects=False)
        assert self._transport is not None  # noqa: S101 - it is one or the other
        return await self._transport.handle_async_request(built)


class _Pool(httpx.BaseTransport):
    """Pooled connections that keep to the attempt's deadline; httpx's own cannot be told of one."""

    def __init__(self) -> None:
        self._pool = make_pool(_trust())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Make the request; raises what httpx's own transport would."""
        with as_errors_of(httpx):
            response = self._pool.handle_request(as_core(request))
        return httpx.Response(
            response.status, headers=response.headers, stream=_Stream(response.stream)
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with as_errors_of(httpx):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Body:
    """What comes of a body within the time and size there is for it; or, if *is_whole*, all."""

    def __init__(self, request: httpx.Request, *, is_whole: bool) -> None:
        self._parts: list[bytes] = []
        self._left = _LONGEST_WHOLE_BODY if is_whole else _LONGEST_BODY
        self._until = math.inf
        if is_whole:
            return
        # httpcore looks at this again before it reads the body
        request.extensions["timeout"]["read"] = LINGER
        self._until = time.monotonic() + LINGER

    def is_enough(self, part: bytes) -> bool:
        self._parts.append(part)
        self._left -= len(part)
        return self._left < 0 or time.monotonic() > self._until

    @property
    def content(self) -> bytes:
        """What has come."""
        return b"".join(self._parts)


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


def _built(
    request: Request,
    timeouts: Mapping[str, float | None],
    client: httpx.Client | httpx.AsyncClient | None,
) -> httpx.Request:
    """Return the request, with what a given client adds to each: headers, cookies, time limits."""
    if client is not None:
        return client.build_request(
            request.method,
            request.url,
            headers={
                "user-agent": _HEADERS["user-agent"],
                **request.headers,
            },  # no name for the key
            content=request.content,
        )
    return httpx.Request(
        request.method,
        _url(request.url),
        headers={**_HEADERS, **request.headers},
        content=request.content,
        extensions={"timeout": {**timeouts}},
    )


def _limit(request: httpx.Request) -> float:
    limit: float = request.extensions["timeout"]["read"]
    return limit


def _response(given: httpx.Response, body: _Body) -> Response:
    is_plain = "content-encoding" not in given.headers
    text = body.content.decode(errors="replace") if is_plain else ""
    return Response(given.status_code, dict(given.headers), text)
