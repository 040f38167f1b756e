"""
What is raised to say something rather than because something is wrong.

By handlers: `DoNotRetry`, `RetryAfter`. By the kit, through a handler: `Suspend`, a `Signal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from kit.model.duration import Duration


class DoNotRetry(Exception):
    """Raise in a handler or step to give up at once: the run becomes a dead letter."""


class RetryAfter(Exception):
    """
    Raise in a handler or step to be tried again after *delay*.

    The longer of *delay* and the backoff counts, or *delay* in any case with *force*. At most a
    year for the first attempt, a week after. Zero or less is ignored, as Netlify does.

    Raises:
        ValueError: If *delay* is no duration.
    """

    def __init__(self, delay: Duration, message: str | None = None, *, force: bool = False) -> None:
        from kit.model.duration import parse_duration

        self.delay: timedelta = parse_duration(delay)
        self.force = force
        super().__init__(message or f"to be tried again after {delay}")


class Signal(BaseException):
    """
    What the kit raises through user code, which is nobody's failure.

    A `BaseException`, so that `except Exception` in a handler does not take it for one.
    """


class Suspend(Signal):
    """
    Unwinds a handler whose invocation is over.

    What a handler does with it has no influence: the outcome is decided before it is raised.
    """
