"""
The network: the one place that imports httpx. Two drivers for one flow, plain and async.

A connection that fails is told to the flow as `NoResponse`, in words; nothing of httpx goes
further. Redirects are not followed, since that would hand the key to another place.

The head of an answer is what counts: a router acknowledges at once, and keeps its body open while
it hands the events on. So the rest is read for `attempt.LINGER` seconds, to keep the connection, no
longer; all of it only where a request says so.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx as httpx

from kit.model.errors import ArgumentError
from kit.netlify import attempt
from kit.netlify.attempt import Attempt, in_time
from kit.netlify.causes import no_response
from kit.netlify.flow import Flow, HttpRequest, Pause, Received
from kit.netlify.pool import Pool, within
from kit.netlify.proxies import has_proxies, through_proxies
from kit.netlify.responses import NoResponse, Response, without_key
from kit.version import __version__

TIMEOUT = 30.0
"""Seconds until an answer must have begun; or until it is there, where all of it is wanted."""

CONNECT_TIMEOUT = 10.0
_HEADERS = {"user-agent": f"netlify-workflow-kit/{__version__}", "accept": "*/*"}

T = TypeVar("T")


class Transport:
    """
    Carries out flows, for plain code. Any number of threads may use one.

    It has pooled connections, or those of the httpx client or transport it is given, which it then
    does not close. *timeout* bounds each attempt as a whole. Connections that are given, or go by a
    proxy, know of a limit for each read only: there an attempt is made in a thread, which is given
    up when time is over, and ends once the site lets go.
    """

    def __init__(
        self,
        client: httpx.Client | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        _check_given(client, httpx.Client)
        _check_given(transport, httpx.BaseTransport)
        self._seconds = timeout
        self._timeouts = timeouts(timeout).as_dict()
        self._pause = pause
        self._client = client
        self._transport: httpx.BaseTransport | Pool | None = transport
        self._own: httpx.Client | Pool | None = None
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
        # a client takes half as long again, but it alone knows about proxies
        if has_proxies():
            make = functools.partial(httpx.Client, timeout=timeouts(self._seconds))
            self._own = self._client = through_proxies(make, httpx.InvalidURL)
        else:
            self._own = self._transport = Pool(httpx, _trust())

    def _ask(self, request: HttpRequest) -> Response | NoResponse:
        built = _built(request, self._timeouts, self._client)
        made = Attempt(self._seconds, is_whole=request.is_whole)
        if isinstance(self._transport, Pool):
            self._make(built, request, made)
        else:
            in_time(functools.partial(self._make, built, request), made)
        return without_key(made.outcome(), request.key)

    def _make(self, built: httpx.Request, request: HttpRequest, made: Attempt) -> None:
        limit = _read_limit(built, self._seconds)
        try:
            with within(self._seconds):
                response = self._response(built)
                made.begin(response)
                _linger(built, request)
                stream: Any = response.stream  # a plain one: of httpx's own, or the pool's
                try:
                    with within(made.left):
                        for part in stream:
                            if made.take(part):
                                break
                    made.end()
                finally:
                    stream.close()
        except httpx.RequestError as error:
            made.fail(no_response(error, limit))

    def _response(self, built: httpx.Request) -> httpx.Response:
        if self._client is not None:
            return self._client.send(built, stream=True, auth=None, follow_redirects=False)
        assert self._transport is not None  # noqa: S101 - it is one or the other
        found: httpx.Response = self._transport.handle_request(built)
        return found


class AsyncTransport:
    """
    Carries out flows, for async code on one event loop. See `Transport`.

    *timeout* holds for any connections: what takes longer is cancelled.
    """

    def __init__(
        self,
        client: httpx.AsyncClient | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        _check_given(client, httpx.AsyncClient)
        _check_given(transport, httpx.AsyncBaseTransport)
        self._seconds = timeout
        self._timeouts = timeouts(timeout).as_dict()
        self._pause = pause
        self._client = client
        self._transport = transport
        self._own: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None
        self._closed = False
        if client is None and transport is None:
            if has_proxies():
                make = functools.partial(httpx.AsyncClient, timeout=timeouts(timeout))
                self._own = self._client = through_proxies(make, httpx.InvalidURL)
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

    async def _ask(self, request: HttpRequest) -> Response | NoResponse:
        built = _built(request, self._timeouts, self._client)
        made = Attempt(self._seconds, is_whole=request.is_whole)
        limit = _read_limit(built, self._seconds)
        try:
            async with asyncio.timeout(made.left) as ends:
                response = await self._response(built)
                made.begin(response)
                _linger(built, request)
                ends.reschedule(asyncio.get_running_loop().time() + made.left)
                try:
                    async for part in response.stream:  # type: ignore[union-attr] # an async one
                        if made.take(part):
                            break
                    made.end()
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            made.fail(no_response(error, limit))
        except TimeoutError:
            pass  # what has come until then is what there is
        return without_key(made.outcome(), request.key)

    async def _response(self, built: httpx.Request) -> httpx.Response:
        if self._client is not None:
            return await self._client.send(built, stream=True, auth=None, follow_redirects=False)
        assert self._transport is not None  # noqa: S101 - it is one or the other
        return await self._transport.handle_async_request(built)


def load_backend() -> None:
    """Load what httpx loads with its first connection; to be called where a loop is running."""
    import anyio

    anyio.get_cancelled_exc_class()


def _check_open(closed: bool) -> None:
    if closed:
        msg = "this client is closed: make a new one"
        raise RuntimeError(msg)


def timeouts(seconds: float) -> httpx.Timeout:
    """Return what httpx has of *seconds*; raises ArgumentError if they are none that can pass."""
    if not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
        msg = f"timeout must be a number of seconds above 0, and at most a day, not {seconds!r}"
        raise ArgumentError(msg)
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT))


def _check_given(given: object, kind: type) -> None:
    """Refuse what could not carry a request out, such as an async client for plain code."""
    if given is not None and not isinstance(given, kind):
        msg = f"an httpx.{kind.__name__} is needed here, not {given!r}"
        raise TypeError(msg)


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return the certificates to trust; reading them takes 30 ms, and is done once a process."""
    return httpx.create_ssl_context()


# parsing an address takes as long as sending to it; there are few, since names make them
_url = functools.lru_cache(maxsize=256)(httpx.URL)


def _built(
    request: HttpRequest,
    timeouts: Mapping[str, float | None],
    client: httpx.Client | httpx.AsyncClient | None,
) -> httpx.Request:
    """Return the request, with what a given client adds to each: headers, cookies, time limits."""
    # the key has no name here: a report would show that, but not what is in httpx's headers
    if client is not None:
        return client.build_request(
            request.method,
            request.url,
            headers={"user-agent": _HEADERS["user-agent"], **_bearer(request), **request.headers},
            content=request.content,
        )
    return httpx.Request(
        request.method,
        _url(request.url),
        headers={**_HEADERS, **_bearer(request), **request.headers},
        content=request.content,
        extensions={"timeout": {**timeouts}},
    )


def _bearer(request: HttpRequest) -> dict[str, str]:
    key = request.key
    return {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def _read_limit(request: httpx.Request, seconds: float) -> float:
    """Return after how many seconds without a word a read ends; a client has its own limit."""
    limit: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds if limit is None else limit


def _linger(built: httpx.Request, request: HttpRequest) -> None:
    """Have each read of the body end soon, unless all of it is wanted."""
    if not request.is_whole:
        # httpcore looks at this again before it reads the body
        built.extensions.setdefault("timeout", {})["read"] = attempt.LINGER
