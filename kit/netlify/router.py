"""
How events reach a site's router: the requests, and when to try again.

A *flow* is a generator: it yields requests and pauses, is sent what came of them, and does no I/O
itself. `transport` carries flows out, once for plain code and once for async code.

Acknowledged means a status of 200 to 298 with the header `x-awl-ack` (Async Workloads 0.0.97).
Tried again, with the same event ids: connections that fail, and 429, 502, 503, 504. Nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from kit.model.errors import PayloadError, SendError
from kit.model.event import Event
from kit.model.payload import check_travels
from kit.netlify.responses import (
    MAY_HAVE_ARRIVED,
    WORTH_ANOTHER_TRY,
    Answer,
    NoAnswer,
    Target,
    Tried,
    is_acknowledged,
    raise_refused,
    raise_unreachable,
)
from kit.netlify.wire import event_to_json

__all__ = ["Answer", "NoAnswer", "Target", "is_acknowledged"]

ROUTER_PATH = "/.netlify/functions/async-workloads-router"

MAX_BATCH_EVENTS = 10
MAX_BATCH_BYTES = 500_000
"""What Netlify advises for one event, and the router's own measure for a group."""

MAX_DELAY_MS = 31_556_952_000
"""365.2425 days; Netlify's own client refuses a delay of this length or more."""

RETRIES = 3
MAX_PAUSE = 30.0
"""Seconds; a longer `Retry-After` is not waited for."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to make: what it is about, in words, and which answers mean that it was taken."""

    method: Literal["POST", "DELETE", "GET"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = b""
    what: str = "the request"
    is_taken: Callable[[Answer], bool] = is_acknowledged


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


Received: TypeAlias = "Answer | NoAnswer | None"
Flow: TypeAlias = "Generator[Request | Pause, Received, T_co]"
"""Yields what is to be done, and is sent what came of it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A request was taken: with which answer, after how many tries."""

    answer: Answer
    tries: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The router has taken an event. `tries` is how often it was sent, 1 as a rule."""

    event_id: str
    event_name: str
    status: int
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event, and the bytes it has within the router's array."""

    event: Event
    content: bytes


Outcome: TypeAlias = "Acknowledgement | PayloadError | SendError"


def pack(event: Event, target: Target, *, now: int) -> Parcel:
    """
    Return *event* ready to be sent, whatever it shares the call with.

    Raises:
        PayloadError: If it would not arrive unchanged, is larger than what Netlify takes, or is due
            in a year or later.
    """
    if event.due is not None and event.due - now >= MAX_DELAY_MS:
        days = (event.due - now) // 86_400_000
        msg = f"event {event.name!r} is due in {days} days: Netlify takes less than a year"
        raise PayloadError(msg)
    check_travels(event.data, f"the data of event {event.name!r}")
    content = _encode(event_to_json(event, base_url=target.origin)).encode()
    if len(content) > MAX_BATCH_BYTES:
        msg = (
            f"event {event.name!r} is {len(content)} bytes as JSON: Netlify takes"
            f" {MAX_BATCH_BYTES} at most; store the data and send where it is"
        )
        raise PayloadError(msg)
    return Parcel(event, content)


def first_batch(parcels: Sequence[Parcel]) -> int:
    """Return how many of *parcels*, from the first on, share the next router call."""
    total = 0
    for count, parcel in enumerate(parcels[:MAX_BATCH_EVENTS]):
        total += len(parcel.content)
        if count and total > MAX_BATCH_BYTES:
            return count
    return min(len(parcels), MAX_BATCH_EVENTS)


def batches(parcels: Sequence[Parcel]) -> Iterator[Sequence[Parcel]]:
    """Yield the groups in which *parcels* share router calls, in their order."""
    while parcels:
        count = first_batch(parcels)
        yield parcels[:count]
        parcels = parcels[count:]


def router_request(parcels: Sequence[Parcel], target: Target) -> Request:
    """Return the request that hands *parcels* to the router; with none, it asks for nothing."""
    names = _encode([parcel.event.name for parcel in parcels])
    # what JavaScript's encodeURIComponent leaves as it is
    listed = quote(names, safe="!~*'()")
    return Request(
        "POST",
        f"{target.origin}{ROUTER_PATH}?events={listed}&client-context=awl-client",
        {**key_header(target), "content-type": "text/plain;charset=UTF-8"},
        b"[" + b",".join([parcel.content for parcel in parcels]) + b"]",
        what=_about(parcels),
    )


def key_header(target: Target) -> dict[str, str]:
    """Return the header that shows the key, if there is one."""
    return {} if target.api_key is None else {"authorization": f"Bearer {target.api_key}"}


def request_flow(request: Request, target: Target, *, retries: int = RETRIES) -> Flow[Taken]:
    """
    Make *request* until it is taken.

    Raises:
        SendError: `ConnectionFailedError`, `RejectedError` or `LoopDetectedError`, when it is of no
            use to go on.
    """
    tries, maybe = 0, False
    while True:
        tries += 1
        answer = yield request
        if isinstance(answer, Answer) and request.is_taken(answer):
            return Taken(answer, tries)
        assert answer is not None  # noqa: S101 - a request is answered, if only by NoAnswer
        maybe = maybe or _may_have_arrived(answer)
        pause = _pause_after(answer, tries) if tries <= retries else None
        if pause is None:
            tried = Tried(request.what, target, tries, maybe)
            if isinstance(answer, NoAnswer):
                raise_unreachable(answer, tried)
            raise_refused(answer, tried)
        yield Pause(pause)


def parcels_flow(parcels: Sequence[Parcel], target: Target) -> Flow[list[Outcome]]:
    """Hand *parcels* to the router in one call; tell of each what came of it."""
    request = router_request(parcels, target)
    try:
        taken = yield from request_flow(request, target)
    except SendError as error:
        return [_error_of(error, parcel, request.what) for parcel in parcels]
    status, tries = taken.answer.status, taken.tries
    return [
        Acknowledgement(parcel.event.id, parcel.event.name, status, tries) for parcel in parcels
    ]


def events_flow(events: Sequence[Event], target: Target, *, now: int) -> Flow[list[Outcome]]:
    """Send *events* in as few calls as they fit in; one that cannot be sent fails alone."""
    outcomes: dict[int, Outcome] = {}
    packed: dict[int, Parcel] = {}
    for index, event in enumerate(events):
        try:
            packed[index] = pack(event, target, now=now)
        except PayloadError as error:
            outcomes[index] = error
    sent: list[Outcome] = []
    for batch in batches(list(packed.values())):
        sent += yield from parcels_flow(batch, target)
    outcomes |= dict(zip(packed, sent, strict=True))
    return [outcomes[index] for index in range(len(events))]


def probe_flow(request: Request) -> Flow[Answer | NoAnswer]:
    """Make *request* once, and return whatever came of it."""
    answer = yield request
    assert answer is not None  # noqa: S101 - a request is answered, if only by NoAnswer
    return answer


_encode: Callable[[Any], str] = json.JSONEncoder(
    allow_nan=False, separators=(",", ":"), ensure_ascii=False
).encode


def _about(parcels: Sequence[Parcel]) -> str:
    if len(parcels) == 1:
        return f"event {parcels[0].event.name!r}"
    return f"a group of {len(parcels)} events"


def _error_of(error: SendError, parcel: Parcel, what: str) -> SendError:
    """Return the *error* of a whole call as that of one event in it."""
    message = _about([parcel]) + error.message.removeprefix(what)
    own = type(error).__new__(type(error), message)
    own.__dict__.update(error.__dict__)
    own.message, own.event_id, own.details = message, parcel.event.id, dict(error.details)
    return own.with_traceback(error.__traceback__)


def _may_have_arrived(answer: Answer | NoAnswer) -> bool:
    if isinstance(answer, NoAnswer):
        return answer.may_have_arrived
    return answer.status in MAY_HAVE_ARRIVED


def _pause_after(answer: Answer | NoAnswer, tries: int) -> float | None:
    """Return the seconds to wait before another try, or None if that is of no use."""
    backoff = 0.1 * 2.0**tries
    if isinstance(answer, NoAnswer):
        return None if answer.timed_out else backoff
    if answer.status not in WORTH_ANOTHER_TRY:
        return None
    asked = _retry_after(answer)
    if asked is None:
        return backoff
    return asked if asked <= MAX_PAUSE else None


def _retry_after(answer: Answer) -> float | None:
    """Return the seconds an answer asks for; a date counts from the answer's own."""
    given = answer.headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # takes long to load, and is needed hardly ever

    try:
        due = parsedate_to_datetime(given)
        return max(0.0, (due - parsedate_to_datetime(answer.headers["date"])).total_seconds())
    except (KeyError, ValueError, TypeError):  # TypeError: one with a time zone, one without
        return None
