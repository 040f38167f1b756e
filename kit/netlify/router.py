"""
How events reach a site's router: what a call holds, and what it means that it was taken.

Acknowledged means a status of 200 to 298 with the header `x-awl-ack` (Async Workloads 0.0.97).
When a call is made again is `flow`'s business; the ids of its events stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from kit.model.errors import PayloadError, SendError
from kit.model.event import Event
from kit.model.text import encode
from kit.netlify.events import event_to_text
from kit.netlify.flow import Flow, HttpRequest, request_flow
from kit.netlify.responses import Response
from kit.netlify.site import Site

ROUTER_PATH = "/.netlify/functions/async-workloads-router"

MAX_BATCH_EVENTS = 10
MAX_BATCH_BYTES = 500_000
"""What Netlify advises for one event, and the router's own measure for a group."""

MAX_DELAY_MS = 31_556_952_000
"""365.2425 days; Netlify's own client refuses a delay of this length or more."""


class Acknowledgement(NamedTuple):
    """The router has taken an event. `tries` is how often it was sent, 1 as a rule."""

    event_id: str
    event_name: str
    status: int
    tries: int = 1


class Packed(NamedTuple):
    """An event, and the bytes it has within the router's array."""

    event: Event
    content: bytes


Sending: TypeAlias = "Acknowledgement | PayloadError | SendError"
"""What became of an event that was to be sent."""


def is_acknowledged(response: Response) -> bool:
    """Tell whether a router has taken the events (as the client of Async Workloads 0.0.97 does)."""
    return 200 <= response.status <= 298 and "x-awl-ack" in response.headers


def pack(event: Event, site: Site, *, now: int) -> Packed:
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
    content = event_to_text(event, base_url=site.origin).encode()
    if len(content) > MAX_BATCH_BYTES:
        msg = (
            f"event {event.name!r} is {len(content)} bytes as JSON: Netlify takes"
            f" {MAX_BATCH_BYTES} at most; store the data and send where it is"
        )
        raise PayloadError(msg)
    return Packed(event, content)


def first_batch(events: Sequence[Packed]) -> int:
    """Return how many of *events*, from the first on, share the next router call."""
    total = 0
    for count, packed in enumerate(events[:MAX_BATCH_EVENTS]):
        total += len(packed.content)
        if count and total > MAX_BATCH_BYTES:
            return count
    return min(len(events), MAX_BATCH_EVENTS)


def batches(events: Sequence[Packed]) -> Iterator[Sequence[Packed]]:
    """Yield the groups in which *events* share router calls, in their order."""
    while events:
        count = first_batch(events)
        yield events[:count]
        events = events[count:]


def router_request(events: Sequence[Packed], site: Site) -> HttpRequest:
    """Return the request that hands *events* to the router; with none, it asks for nothing."""
    names = encode([packed.event.name for packed in events])
    # what JavaScript's encodeURIComponent leaves as it is
    listed = quote(names, safe="!~*'()")
    return HttpRequest(
        "POST",
        f"{site.origin}{ROUTER_PATH}?events={listed}&client-context=awl-client",
        {"content-type": "text/plain;charset=UTF-8"},
        b"[" + b",".join([packed.content for packed in events]) + b"]",
        what=_about(events),
        is_taken=is_acknowledged,
        key=site.api_key,
    )


def packed_flow(events: Sequence[Packed], site: Site) -> Flow[list[Sending]]:
    """Hand *events* to the router in one call; tell of each what came of it."""
    request = router_request(events, site)
    try:
        response, tries = yield from request_flow(request, site)
    except SendError as error:
        return [_error_of(error, packed, request.what) for packed in events]
    status = response.status
    return [Acknowledgement(each.event.id, each.event.name, status, tries) for each in events]


def events_flow(events: Sequence[Event], site: Site, *, now: int) -> Flow[list[Sending]]:
    """Send *events* in as few calls as they fit in; one that cannot be sent fails alone."""
    outcomes: dict[int, Sending] = {}
    packed: dict[int, Packed] = {}
    for index, event in enumerate(events):
        try:
            packed[index] = pack(event, site, now=now)
        except PayloadError as error:
            outcomes[index] = error
    sent: list[Sending] = []
    for batch in batches(list(packed.values())):
        sent += yield from packed_flow(batch, site)
    outcomes |= dict(zip(packed, sent, strict=True))
    return [outcomes[index] for index in range(len(events))]


def _about(events: Sequence[Packed]) -> str:
    if len(events) == 1:
        return f"event {events[0].event.name!r}"
    return f"a group of {len(events)} events"


def _error_of(error: SendError, packed: Packed, what: str) -> SendError:
    """Return the *error* of a whole call as that of one event in it."""
    message = _about([packed]) + error.message.removeprefix(what)
    own = type(error).__new__(type(error), message)
    own.__dict__.update(error.__dict__)
    own.message, own.event_id, own.details = message, packed.event.id, dict(error.details)
    return own.with_traceback(error.__traceback__)
