"""
Flows: requests and pauses to be carried out, decided here and done elsewhere.

A *flow* is a generator: it yields requests and pauses, is sent what came of them, and does no I/O
itself. `transport` carries flows out, once for plain code and once for async code.

Tried again, unchanged: connections that fail, and 429, 502, 503, 504. Nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import SecretStr

from kit.netlify.responses import (
    MAY_HAVE_ARRIVED,
    WORTH_ANOTHER_TRY,
    NoResponse,
    Response,
    not_taken,
)
from kit.netlify.site import Site

RETRIES = 3
MAX_PAUSE = 30.0
"""Seconds; a longer `Retry-After` is not waited for."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request to make: what it is about, in words, and which answers mean that it was taken.

    Of an answer the beginning is read, as far as it comes at once; all of it if *is_whole*. The
    *key* becomes a header when the request is made.
    """

    method: Literal["POST", "DELETE", "GET"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    what: str = "the request"
    is_taken: Callable[[Response], bool] = field(default=lambda response: response.status < 300)
    is_whole: bool = False
    key: SecretStr | None = None


class Pause(NamedTuple):
    """Wait for so many seconds."""

    seconds: float


Received: TypeAlias = "Response | NoResponse | None"
Flow: TypeAlias = "Generator[Request | Pause, Received, T_co]"
"""Yields what is to be done, and is sent what came of it."""


def request_flow(
    request: Request, site: Site, *, retries: int = RETRIES
) -> Flow[tuple[Response, int]]:
    """
    Make *request* until it is taken; return the answer, and how often it was made.

    Raises:
        SendError: `ConnectionFailedError`, `RejectedError` or `LoopDetectedError`, when it is of no
            use to go on.
    """
    tries, may_have_arrived = 0, False
    while True:
        tries += 1
        response = yield from probe_flow(request)
        if isinstance(response, Response) and request.is_taken(response):
            return response, tries
        may_have_arrived = may_have_arrived or _may_have_arrived(response)
        pause = _pause_after(response, tries) if tries <= retries else None
        if pause is None:
            raise not_taken(
                response, site, request.what, tries=tries, may_have_arrived=may_have_arrived
            )
        yield Pause(pause)


def probe_flow(request: Request) -> Flow[Response | NoResponse]:
    """Make *request* once, and return whatever came of it."""
    response = yield request
    assert response is not None  # noqa: S101 - a request is answered, if only by NoResponse
    return response


def _may_have_arrived(response: Response | NoResponse) -> bool:
    if isinstance(response, NoResponse):
        return response.may_have_arrived
    return response.status in MAY_HAVE_ARRIVED


def _pause_after(response: Response | NoResponse, tries: int) -> float | None:
    """Return the seconds to wait before another try, or None if that is of no use."""
    backoff = 0.1 * 2.0**tries
    if isinstance(response, NoResponse):
        return None if response.timed_out else backoff
    if response.status not in WORTH_ANOTHER_TRY:
        return None
    asked = _retry_after(response)
    if asked is None:
        return backoff
    return asked if asked <= MAX_PAUSE else None


def _retry_after(response: Response) -> float | None:
    """Return the seconds an answer asks for; a date counts from the answer's own."""
    given = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # takes long to load, and is needed hardly ever

    try:
        due = parsedate_to_datetime(given)
        return max(0.0, (due - parsedate_to_datetime(response.headers["date"])).total_seconds())
    except (KeyError, ValueError, TypeError):  # TypeError: one with a time zone, one without
        return None
