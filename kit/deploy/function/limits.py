"""What a function has at most: time, and the size of what it hands over."""

from __future__ import annotations

import json

from kit.model.delivery import Failed, Outcome, Suspended
from kit.model.failure import Failure

LARGEST = 5_000_000
"""Bytes of a request to a workflow; Netlify takes 6 MB, into which the router puts several."""

LARGEST_IN_BACKGROUND = 250_000
"""The same for a background function, where Netlify takes 256 KB."""

_RESERVE = 2.0
"""Seconds kept back for clean-up, and for telling what came of a call."""

_encode = json.JSONEncoder(ensure_ascii=False).encode


def share_of(seconds: float | None) -> float | None:
    """Return how much of a call's time the user's code may have; the rest is for its end."""
    if seconds is None:
        return None
    return max(0.1, round(seconds - min(_RESERVE, seconds / 5), 1))


def admitted(outcome: Outcome, size: int, *, is_background: bool) -> Outcome:
    """
    Return *outcome*, unless it could not travel: then the failure that says so.

    Every checkpoint of a run is in each of its later requests, and one that the platform refuses
    for its size would be sent again without end, and hold up the events beside it. *size* is that
    of the request before.
    """
    if not isinstance(outcome, Suspended):
        return outcome
    most = LARGEST_IN_BACKGROUND if is_background else LARGEST
    size += sum(_travelling_size(each.text or "") for each in outcome.checkpoints)
    if size <= most:
        return outcome
    msg = (
        f"the run's data and the values of its steps are {size // 1000} kB together, and Netlify"
        f" carries {most // 1000} kB; keep what is large elsewhere, and return where it is"
    )
    return Failed(Failure("PayloadError", msg, code="CHECKPOINTS_TOO_LARGE"), None)


def _travelling_size(text: str) -> int:
    # JSON in a JSON string in a JSON string, as the library stores it
    return len(_encode(_encode(text)).encode("utf-8", "replace"))
