"""Times and spans as people read them."""

from __future__ import annotations

import time
from datetime import datetime

from kit.model.duration import in_words

span = in_words


def now() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def age(milliseconds: int) -> str:
    """Return how long ago something was, in whole seconds or longer."""
    return span(max(0, milliseconds) // 1_000 * 1_000) if milliseconds >= 1_000 else "0 s"


def took(began: int | None, ended: int | None) -> str:
    """Return how long something took; nothing if it has not ended, or the clock was set back."""
    if began is None or ended is None or ended < began:
        return ""
    return span(ended - began)


def countdown(milliseconds: int) -> str:
    """Return what is left in whole seconds, so that a countdown does not flicker."""
    return span(-(-max(0, milliseconds) // 1_000) * 1_000) if milliseconds > 0 else "0 s"


def moment(milliseconds: int) -> str:
    """Return a moment in local time, to the second."""
    return datetime.fromtimestamp(milliseconds / 1_000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
