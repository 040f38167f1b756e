"""
Flows: requests and pauses to be carried out, decided here and done elsewhere.

A *flow* is a generator: it yields requests and pauses, is sent what came of them, and does no I/O
itself. `transport` carries flows out, once for plain code and once for async code.

Tried again, unchanged: connections that fail, and 429, 502, 503, 504. Nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
class HttpRequest:
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
Flow: TypeAlias = "Generator[HttpRequest | Pause, Received, T_co]"
"""Yields what is to be done, and is sent what came of it."""


def request_flow(
    request: HttpRequest,
    site: Site,
    *,
    retries: int = RETRIES,
    clock: Callable[[], float] = time.time,
) -> Flow[tuple[Response, int]]:
    """
    Make *request* until it is taken; return the answer, and how often it was made.

    The *clock* tells the seconds since the epoch, for answers without a date of their own.

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
        pause = _pause_after(response, tries, clock())
        if pause is None or pause > MAX_PAUSE or tries > retries:
            raise not_taken(
                response,
                site,
                request.what,
                tries=tries,
                may_have_arrived=may_have_arrived,
                asked=pause if pause is not None and pause > MAX_PAUSE else None,
            )
        yield Pause(pause)


def probe_flow(request: HttpRequest) -> Flow[Response | NoResponse]:
    """Make *request* once, and return whatever came of it."""
    response = yield request
    assert response is not None  # noqa: S101 - a request is answered, if only by NoResponse
    return response


def _may_have_arrived(response: Response | NoResponse) -> bool:
    if isinstance(response, NoResponse):
        return response.may_have_arrived
    return response.status in MAY_HAVE_ARRIVED


def _pause_after(response: Response | NoResponse, tries: int, now: float) -> float | None:
    """Return the seconds to wait before another try, or None if that is of no use."""
    backoff = 0.1 * 2.0**tries
    if isinstance(response, NoResponse):
        return None if response.timed_out else backoff
    if response.status not in WORTH_ANOTHER_TRY:
        return None
    asked = retry_after(response, now)
    return backoff if asked is None else asked


def retry_after(response: Response, now: float) -> float | None:
    """
    Return the seconds an answer asks to wait, if it does.

    A date counts from the answer's own, which the same clock made, else from *now*, in seconds
    since the epoch.
    """
    given = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    due = _date(given)
    if due is None:
        return None
    answered = _date(response.headers.get("date", ""))
    return max(0.0, due - (now if answered is None else answered))


def _date(text: str) -> float | None:
    """Return the moment that a date of HTTP means, in seconds since the epoch."""
    from email.utils import parsedate_to_datetime  # takes long to load, and is needed hardly ever

    try:
        found = parsedate_to_datetime(text)
        return _in_utc(found).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    # every date of HTTP is in UTC, also one that does not say so
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
