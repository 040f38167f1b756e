"""One try at a request: how long it may take, what has come so far, and when that is enough."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from kit.netlify.responses import NoResponse, Response

LINGER = 1.0
"""Seconds for the rest of an answer whose head is there, where only its beginning is wanted."""

GRACE = 0.1
"""Seconds more, so that a connection that is not made in time says so itself."""

_LONGEST_BODY = 16_000
_LONGEST_WHOLE_BODY = 20_000_000


class Attempt:
    """
    What has come of a request that has *seconds*, until its answer begins, or until all of it is
    there if *is_whole*.
    """

    def __init__(self, seconds: float, *, is_whole: bool) -> None:
        self._seconds = seconds
        self._is_whole = is_whole
        self._until = time.monotonic() + seconds + GRACE
        self._room = _LONGEST_WHOLE_BODY if is_whole else _LONGEST_BODY
        self._head: Any = None
        self._parts: list[bytes] = []
        self._is_over = self._is_late = False
        self._failure: NoResponse | None = None

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def begin(self, head: Any) -> None:
        """Take the *head* of the answer: status and headers, as httpx has them."""
        self._head = head
        if not self._is_whole:
            self._until = time.monotonic() + LINGER

    def take(self, part: bytes) -> bool:
        """Take a part of the body, and tell whether that is enough."""
        self._parts.append(part)
        self._room -= len(part)
        self._is_late = not self.left
        return self._room < 0 or self._is_late

    def end(self) -> None:
        """Take note that all of the answer is there, or as much as is wanted."""
        self._is_over = not self._is_late

    def fail(self, failure: NoResponse) -> None:
        """Take note of why no more is to come."""
        self._failure = failure

    def outcome(self) -> Response | NoResponse:
        """Return what has come: of most answers the head is what counts."""
        if self._head is None or (self._is_whole and not self._is_over):
            return self._failure or too_late(self._seconds)
        is_plain = "content-encoding" not in self._head.headers
        text = b"".join(self._parts).decode(errors="replace") if is_plain else ""
        return Response(self._head.status_code, dict(self._head.headers), text)


def too_late(seconds: float) -> NoResponse:
    """Return what is said of a site that took a request, and did not answer in time."""
    why = f"it took the connection, but did not answer within {seconds:g} seconds"
    return NoResponse(why, may_have_arrived=True, timed_out=True)


def in_time(make: Callable[[Attempt], None], attempt: Attempt) -> None:
    """
    Have *make* carry out *attempt* in a thread of its own, and wait as long as it has; then let it
    go on alone, until whoever it waits for lets go of it.

    For connections that cannot be told of a time for all they do together, but for each read only.
    """
    failures: list[BaseException] = []

    def carry_out() -> None:
        try:
            make(attempt)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failures.append(error)

    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(carry_out,), name="kit-attempt", daemon=True)
    thread.start()
    while thread.is_alive() and (left := attempt.left):
        thread.join(left)
    if failures:
        raise failures[0]
