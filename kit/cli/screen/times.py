"""Times and spans as people read them."""

from __future__ import annotations

import time
from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def now() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def span(milliseconds: int) -> str:
    """Return a length of time in its two largest units: `3 ms`, `1.2 s`, `2 min 5 s`, `3 d 4 h`."""
    if milliseconds < 1_000:
        return f"{max(0, milliseconds)} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1_000:.1f} s".replace(".0 ", " ")
    left = round(milliseconds / 1_000)
    parts: list[str] = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if parts or count:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def age(milliseconds: int) -> str:
    """Return how long ago something was, in whole seconds or longer."""
    return span(max(0, milliseconds) // 1_000 * 1_000) if milliseconds >= 1_000 else "0 s"


def countdown(milliseconds: int) -> str:
    """Return what is left in whole seconds, so that a countdown does not flicker."""
    return span(-(-max(0, milliseconds) // 1_000) * 1_000) if milliseconds > 0 else "0 s"


def moment(milliseconds: int) -> str:
    """Return a moment in local time, to the second."""
    return datetime.fromtimestamp(milliseconds / 1_000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
