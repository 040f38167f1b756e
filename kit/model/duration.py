"""
Durations, in Netlify's own grammar and in Python's own types.

A string is one quantity with a unit: `"30 seconds"`, `"1.5h"`, `"2 days"`. A number is seconds.
The grammar of strings is the one of Async Workloads (number, ASCII spaces, unit word, in any case),
with two refusals more: a string without a unit, which Netlify reads as milliseconds, and several
unit words run together, which Netlify accepts by accident. Zero is zero in any form, also in those
Netlify refuses: durations reach it as milliseconds.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from kit.model.errors import ArgumentError

Duration: TypeAlias = "int | float | str | timedelta"
"""Seconds as a number, a string such as `"30 seconds"`, or a `timedelta`."""

_UNITS = {
    1: "ms msec msecs millisecond milliseconds",
    1_000: "s sec secs second seconds",
    60_000: "m min mins minute minutes",
    3_600_000: "h hr hrs hour hours",
    86_400_000: "d day days",
    604_800_000: "w wk wks week weeks",
    31_557_600_000: "y yr yrs year years",
}
UNIT_MILLISECONDS = {word: ms for ms, words in _UNITS.items() for word in words.split()}
"""Every unit word, with its length in milliseconds; a year is 365.25 days."""

_SHORT_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_STRING = re.compile(r"(-?[0-9]*\.?[0-9]+) *([a-z]*)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLES = 'such as "30 seconds", "1.5h" or "2 days"'


def parse_duration(value: Duration) -> timedelta:
    """
    Return *value* as a `timedelta`, to the microsecond; it may be negative.

    Raises:
        ArgumentError: If a string does not follow the grammar, or a number is not finite or is too
            large.
        TypeError: If *value* is of another type.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _span("milliseconds", _string_milliseconds(value), value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        msg = f"{value!r} is no duration: give seconds, a timedelta, or a string {_EXAMPLES}"
        raise TypeError(msg)
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"{value!r} is no duration: it is not finite"
        raise ArgumentError(msg)
    return _span("seconds", value, value)


def to_milliseconds(span: timedelta) -> int:
    """Return *span* in whole milliseconds, rounded to the nearest."""
    return round(span / timedelta(milliseconds=1))


def due_at(when: Duration | datetime, now: int) -> int:
    """
    Return the moment *when* means, in milliseconds since the epoch, given that it is *now*.

    A duration counts from *now*; a datetime must be aware. A moment in the past counts as *now*.

    Raises:
        ArgumentError: If a datetime has no time zone, or a duration is malformed.
    """
    if not isinstance(when, datetime):
        return now + max(0, to_milliseconds(parse_duration(when)))
    if when.utcoffset() is None:
        msg = f"{when!r} has no time zone; use datetime.now(timezone.utc) or .astimezone()"
        raise ArgumentError(msg)
    # whole numbers throughout: a float would round some moments up by a millisecond
    return max(now, -((_EPOCH - when) // timedelta(milliseconds=1)))


def in_words(milliseconds: float) -> str:
    """Return a length of time in its two largest units: `3 ms`, `1.2 s`, `2 min 5 s`, `3 d 4 h`."""
    if milliseconds < 1_000:
        return f"{max(0, round(milliseconds))} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1_000:.1f} s".replace(".0 ", " ")
    left = round(milliseconds / 1_000)
    parts: list[str] = []
    for unit, seconds in _SHORT_UNITS:
        count, left = divmod(left, seconds)
        if parts or count:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def _string_milliseconds(text: str) -> float:
    found = _STRING.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        msg = f"{text!r} is no duration: write one number and one unit, {_EXAMPLES}"
        raise ArgumentError(msg)
    number, unit = float(found[1]), found[2]
    if number == 0 and (not unit or unit in UNIT_MILLISECONDS):
        return 0.0  # in any unit, and without one
    if not unit:
        msg = f"{text!r} has no unit: Netlify would read milliseconds; write {text.strip()} seconds"
        raise ArgumentError(msg)
    if unit not in UNIT_MILLISECONDS:
        msg = f"{text!r} has an unknown unit {unit!r}: use ms, s, min, h, d, w or y, {_EXAMPLES}"
        raise ArgumentError(msg)
    return number * UNIT_MILLISECONDS[unit]


def _span(unit: str, amount: float, given: Duration) -> timedelta:
    try:
        return timedelta(**{unit: amount})
    except OverflowError:
        msg = f"{given!r} is too long a duration"
        raise ArgumentError(msg) from None
