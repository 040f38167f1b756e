"""What a function has at most: time, and the size of what it hands over."""

from __future__ import annotations

import json
import math

from kit.model.delivery import Checkpoint, Failed, Outcome, Suspended
from kit.model.failure import Failure

LARGEST = 590_000
"""
Bytes of an event with the values of its steps: a tenth of what the router takes, less its own part.

The platform puts up to ten runs into one request of 6 MB to the router, and sends it again without
end if that is refused: larger runs would hold up each other, and those that wait beside them.
"""

LARGEST_IN_BACKGROUND = 250_000
"""The same for a background function, where Netlify takes 256 KB."""

_AROUND = 60
"""Bytes around a step's id and value in a request: `{"stepId":"","stepResult":""},`, and more."""

_RESERVE = 2.0
"""Seconds kept back for clean-up, and for telling what came of a call."""

_encode = json.JSONEncoder(ensure_ascii=False).encode


def share_of(seconds: float | None) -> float | None:
    """Return how much of a call's time the user's code may have; the rest is for its end."""
    if seconds is None:
        return None
    return max(0.1, round(seconds - min(_RESERVE, seconds / 5), 1))


def rest_of(share: float, spent: float) -> float:
    """
    Return what is left of a *share* of seconds after the *spent* ones, in whole tenths.

    Never less than that: whoever is cut off then has had all of it, which is how it is known.
    """
    return max(0.1, math.ceil(round((share - spent) * 10, 6)) / 10)


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
    size += sum(_travelling_size(each) for each in outcome.checkpoints)
    size += sum(len(each.step_id) + _AROUND for each in outcome.sleeps)
    if size <= most:
        return outcome
    msg = (
        f"the run's data and the values of its steps are {size // 1000} kB together, and an event"
        f" carries {most // 1000} kB on Netlify. Set store: blobs, which keeps them outside the"
        " event, or keep what is large elsewhere and return where it is"
    )
    return Failed(Failure("PayloadError", msg, code="CHECKPOINTS_TOO_LARGE"), None)


def _travelling_size(checkpoint: Checkpoint) -> int:
    # JSON in a JSON string in a JSON string, as the library stores it
    value, step_id = _encode(_encode(checkpoint.text or "")), _encode(checkpoint.step_id)
    return len((value + step_id).encode("utf-8", "replace")) + _AROUND
