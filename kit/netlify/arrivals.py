"""
Events as the router of Async Workloads 0.0.97 reads them: a request's body in, events out.

Lenient where it is, as recorded from it: a single object is taken for a list of one, items without
a name are passed over, unknown fields too; one item that is null, or whose name is no text, spoils
the whole body. Numbers and keys come out as JavaScript's parse and print would leave them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from kit.model.event import MAX_PRIORITY, Event, check_id, check_name, derived_id
from kit.model.text import MAX_DEPTH, is_too_deep

SOON_MS = 200
"""A `delayUntil` no further ahead than this counts as none."""

_LAST_MOMENT = 8_640_000_000_000_000
"""Milliseconds; JavaScript knows no later date."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_LARGEST_INDEX = 2**32 - 2


def arrivals(body: bytes, now: int, new_id: Callable[[], str] | None = None) -> list[Event]:
    """
    Return the events in the *body* of a request to the router, those that can have a workflow.

    An id that is no version-4 UUID becomes one that depends on it alone: Netlify would take such an
    event and lose it at its first pause.

    Raises:
        ValueError: If the router would refuse the body, or the function its event: for one that
            is nested too deeply.
    """
    items = _items(body)
    named = [item for item in items if _name(item).strip()]
    if not named:
        raise _nothing()
    make_id = new_id or (lambda: str(uuid.uuid4()))
    return [_event(item, now, make_id) for item in named if _is_name(_name(item))]


def as_javascript(value: Any) -> Any:
    """
    Return a JSON *value* as it comes out of JavaScript: integers beyond 2^53 rounded, `1.0` as 1,
    infinities as null, keys that look like indices in front. Half surrogate pairs are replaced.
    """
    if isinstance(value, str):
        return (
            value
            if _is_whole(value)
            else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
    if isinstance(value, list):
        return [as_javascript(each) for each in value]
    if isinstance(value, dict):
        return {as_javascript(key): as_javascript(value[key]) for key in _ordered(value)}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _number(value)


def _items(body: bytes) -> list[Any]:
    try:
        found = json.loads(body, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _nothing() from None
    items = found if isinstance(found, list) else [found]
    if not all(isinstance(item, dict) for item in items):
        raise _nothing()
    brackets = body.count(b"[") + body.count(b"{")
    if any(is_too_deep(value, brackets) for item in items for value in item.values()):
        raise _too_deep()
    return items


def _name(item: dict[str, Any]) -> str:
    name = item.get("eventName", "")
    if name is None:
        return ""
    if not isinstance(name, str):
        raise _nothing()
    return name


def _is_name(name: str) -> bool:
    """Tell whether a workflow could have this name; the router drops an event of any other."""
    try:
        check_name(name)
    except ValueError:
        return False
    return True


def _event(item: dict[str, Any], now: int, make_id: Callable[[], str]) -> Event:
    name = item["eventName"]
    given = item.get("eventId")
    return Event(
        name=name,
        data=as_javascript(item.get("data")),
        id=make_id() if given is None else _id(given),
        due=_due(item.get("delayUntil"), now),
        priority=_priority(item.get("priority")),
        chain=_chain(item.get("eventChain"), name),
    )


def _id(given: object) -> str:
    try:
        return check_id(given) if isinstance(given, str) else derived_id("event", repr(given))
    except ValueError:
        return derived_id("event", str(given))


def _due(given: object, now: int) -> int | None:
    # a text, such as a duration, is not looked at: the event goes out at once
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return int(min(given, _LAST_MOMENT)) if given - now > SOON_MS else None


def _priority(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return 0
    return round(max(-MAX_PRIORITY, min(MAX_PRIORITY, given)))


def _chain(given: object, name: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        return ()
    is_last = bool(given) and given[-1].lower() == name.lower()
    return tuple(given[:-1] if is_last else given)


def _number(value: float) -> float | int | None:
    try:
        single = float(value)
    except OverflowError:
        return None
    if single in (float("inf"), float("-inf")):
        return None
    # as it prints: whole numbers below 10^21 without a point
    return int(single) if single.is_integer() and abs(single) < 2**53 else single


def _ordered(value: dict[str, Any]) -> list[str]:
    indices = [key for key in value if _INDEX.fullmatch(key) and int(key) <= _LARGEST_INDEX]
    if not indices:
        return list(value)
    first = sorted(indices, key=int)
    return first + [key for key in value if key not in set(indices)]


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _refuse(constant: str) -> Any:
    msg = f"{constant} is no JSON"
    raise ValueError(msg)


def _nothing() -> ValueError:
    return ValueError("body contained no valid events to process")


def _too_deep() -> ValueError:
    return ValueError(f"the event is nested more than {MAX_DEPTH} deep; send flatter data")
