"""Events: what starts a workflow. A name, data, an id, and when and how urgently."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kit.model.duration import Duration, due_at, parse_duration
from kit.model.errors import ArgumentError, LoopDetectedError
from kit.model.name import MAX_NAME_LENGTH as MAX_NAME_LENGTH
from kit.model.name import check_name as check_name
from kit.model.name import check_own_name as check_own_name

MAX_PRIORITY = 50
"""Priorities run from minus this to this; higher goes first (Async Workloads)."""

CHAIN_LIMIT = 20
"""Events in one chain, from the first on, as Netlify counts: 19 go, the twentieth does not."""

_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event, valid from birth.

    `due` is when it may start, in milliseconds since the epoch, or None for at once. `id` is a
    version-4-shaped UUID: Netlify's stores skip any other. `chain` holds the names of the events
    that led here, oldest first. `text` is `data` as JSON, where it was encoded already. With
    `is_delayed`, `due` was given as a length of time, not as a moment.

    Raises:
        ArgumentError: If a field is out of bounds.
    """

    name: str
    data: Any
    id: str
    due: int | None = None
    priority: int = 0
    chain: tuple[str, ...] = ()
    text: str | None = field(default=None, compare=False, repr=False)
    is_delayed: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_id(self.id)
        check_priority(self.priority)

    def carrying(self, data: Any) -> Event:
        """Return the event with other *data*: it is not checked again, as `replace` would do."""
        new = object.__new__(Event)
        for name in Event.__slots__:
            object.__setattr__(new, name, getattr(self, name))
        object.__setattr__(new, "data", data)
        return new

    def encoded(self) -> str:
        """
        Return `data` as JSON.

        Raises:
            PayloadError: If it would not arrive unchanged; the message names the place.
        """
        if self.text is not None:
            return self.text
        from kit.model.text import check_travels  # defining a workflow needs no JSON

        return check_travels(self.data, f"the data of event {self.name!r}")

    def chain_of_sent(self, name: str) -> tuple[str, ...]:
        """
        Return the chain of an event that the workflow answering this one sends.

        Raises:
            LoopDetectedError: If it would be the twentieth: workflows start each other in a circle.
        """
        chain = (*self.chain, self.name)
        if len(chain) + 1 >= CHAIN_LIMIT:
            path = " → ".join((*chain[-4:], name))
            msg = (
                f"event {name!r} is not sent: it would be number {CHAIN_LIMIT} in a chain of events"
                f" that start each other (… {path}); break the circle"
            )
            raise LoopDetectedError(msg)
        return chain


def check_id(event_id: str) -> str:
    """
    Return *event_id* if it is a version-4 UUID in its usual spelling.

    Raises:
        ArgumentError: If it is not.
    """
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        msg = f"{event_id!r} is no event id: it must be a version-4 UUID"
        raise ArgumentError(msg)
    return event_id


def check_key(key: str) -> str:
    """
    Return *key* if it can be an idempotency key: a text, not empty, that UTF-8 has.

    Raises:
        ArgumentError: If it cannot; the message says why.
    """
    if not isinstance(key, str) or not key:
        msg = f"{key!r} is no id to start a run under: it must be a text, and not empty"
        raise ArgumentError(msg)
    if not key.isascii() and any("\ud800" <= character <= "\udfff" for character in key):
        msg = f"{key!r} is no id to start a run under: it holds half a surrogate pair"
        raise ArgumentError(msg)
    return key


def check_priority(priority: int) -> int:
    """
    Return *priority* if it is a whole number within ±50.

    Raises:
        ArgumentError: If it is not: Netlify sorts fractions and numeric strings wrongly.
    """
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > MAX_PRIORITY:
        msg = f"{priority!r} is no priority: a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}"
        raise ArgumentError(msg)
    return priority


def event_due(delay: Duration | None, delay_until: datetime | None, now: int) -> int | None:
    """
    Return when an event may start, in ms since the epoch, or None for at once.

    Raises:
        ArgumentError: If both are given, or one is malformed.
    """
    if delay is not None and delay_until is not None:
        msg = "give either delay or delay_until, not both"
        raise ArgumentError(msg)
    when = delay_until if delay_until is not None else delay
    return None if when is None else due_at(when, now)


def when_asked(delay: Duration | None, delay_until: datetime | None) -> str:
    """
    Return when an event may start as it was asked for, as a text; nothing for at once.

    Unlike the moment a delay leads to, it is the same each time a handler is run.
    """
    if delay_until is not None:
        return delay_until.astimezone(UTC).isoformat()
    return "" if delay is None else str(parse_duration(delay))


def derived_id(*parts: str) -> str:
    """Return a version-4-shaped UUID that depends on *parts* only: the same parts, the same id."""
    from hashlib import sha256  # few need it, and it loads all of OpenSSL's

    digest = sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    variant = "89ab"[int(digest[16], 16) % 4]
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
