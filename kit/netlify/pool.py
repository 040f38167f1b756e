"""
Pooled connections of plain code, which keep to a deadline for a whole attempt.

httpcore limits each read by itself, so an answer that drips, or a flood of 1xx, would never end.
Here the connections look at the clock of the attempt they work for. Async code has
`asyncio.timeout` for that. Looking up a host's name is the system's, and takes as long as that has.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import httpcore

MAX_CONNECTIONS = 100
MAX_IDLE_CONNECTIONS = 20
IDLE_SECONDS = 5.0
"""As httpx has them: Netlify's proxies close an idle connection later than that."""

_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
_attempt = threading.local()


class Pool:
    """
    Connections that keep to the deadline that `within` sets; httpx's own cannot be told of one.

    It takes requests of *httpx*, gives its responses, and raises its errors, as its transports do.
    """

    def __init__(self, httpx: ModuleType, trust: ssl.SSLContext) -> None:
        self._httpx = httpx
        self._connections = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Backend(),
        )

    def handle_request(self, request: Any) -> Any:
        """Make the request and return its response, whose body is yet to come."""
        with as_errors_of(self._httpx):
            response = self._connections.handle_request(as_core(request))
        body = _Body(response.stream, self._httpx)
        return self._httpx.Response(response.status, headers=response.headers, stream=body)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


class _Body:
    """What is still to come of a response."""

    def __init__(self, parts: Any, httpx: ModuleType) -> None:
        self._parts = parts
        self._httpx = httpx

    def __iter__(self) -> Iterator[bytes]:
        with as_errors_of(self._httpx):
            yield from self._parts

    def close(self) -> None:
        self._parts.close()


def as_core(request: Any) -> httpcore.Request:
    """Return a request of httpx as one of httpcore."""
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextmanager
def as_errors_of(httpx: ModuleType) -> Iterator[None]:
    """Raise what httpcore raises as httpx does, which has an error of each name."""
    try:
        yield
    except _ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what this thread does over a pool's connections end after *seconds*."""
    before = getattr(_attempt, "ends", None)
    _attempt.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _attempt.ends = before


def _left(limit: float | None, late: type[Exception]) -> float | None:
    """Return the seconds one operation has, or raise *late* if there are none left."""
    ends = getattr(_attempt, "ends", None)
    if ends is None:
        return limit
    left: float = ends - time.monotonic()
    if left <= 0:
        raise late
    return left if limit is None else min(left, limit)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        limit = _left(timeout, httpcore.ConnectTimeout)
        ends = None if limit is None else time.monotonic() + limit
        failure: Exception = httpcore.ConnectTimeout()
        # one after the other: each of them would have the whole limit
        for address in _addresses(host, port):
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                break
            try:
                made = self._plain.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(made)
        raise failure


def _addresses(host: str, port: int) -> Iterable[str]:
    """Return the addresses of a host, as the system prefers them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return dict.fromkeys(str(address[0]) for *_, address in found)


class _Stream(httpcore.NetworkStream):
    def __init__(self, plain: httpcore.NetworkStream) -> None:
        self._plain = plain

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._plain.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)
