"""
What follows a failed attempt: Netlify's arithmetic (Async Workloads 0.0.97, as measured).

Attempts count from 0. With the defaults a run is tried at once, then 5, 5, 20 and 40 seconds after
each failure, and becomes a dead letter after the fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TypeAlias

from kit.model.duration import Duration, parse_duration
from kit.model.frozen import Frozen

Backoff: TypeAlias = "Sequence[Duration] | Callable[[int], Duration] | None"
"""A list of delays (the last one repeats), a function of the coming attempt, or the default."""

Tell: TypeAlias = "Callable[[str], object]"
"""Is told what a backoff did in place of saying how long to wait."""

DEFAULT_MAX_RETRIES = 4
MOST_RETRIES = 10_000
"""What a function's entry can list the waits of."""

MAX_BACKOFF = timedelta(days=7)
MAX_FIRST_DELAY = timedelta(milliseconds=31_556_952_000)
"""What Netlify allows as the delay after the very first attempt: 365.2425 days."""


class RetryPolicy(Frozen):
    """
    How often a workflow is tried again, and after what waits; not to be changed once made.

    Raises:
        ValueError: If `max_retries` is none from 0 to 10,000, or a delay in a list is malformed or
            not positive.
    """

    max_retries: int
    backoff: Backoff

    __slots__ = ("backoff", "max_retries")

    def __init__(self, max_retries: int = DEFAULT_MAX_RETRIES, backoff: Backoff = None) -> None:
        self._set(max_retries=max_retries, backoff=backoff)
        retries = max_retries
        is_whole = isinstance(retries, int) and not isinstance(retries, bool)
        if not is_whole or not 0 <= retries <= MOST_RETRIES:
            msg = f"max_retries must be a whole number from 0 to {MOST_RETRIES}, not {retries!r}"
            raise ValueError(msg)
        if isinstance(self.backoff, str) or not (
            self.backoff is None or callable(self.backoff) or isinstance(self.backoff, Sequence)
        ):
            msg = f"backoff must be a list of durations or a function, not {self.backoff!r}"
            raise ValueError(msg)
        if isinstance(self.backoff, Sequence):
            _check_delays(self.backoff)

    def wait_after(self, attempt: int, tell: Tell | None = None) -> timedelta:
        """
        Return how long to wait after *attempt* has failed; never past seven days.

        A function is called with the number of the coming attempt, as Netlify does. Where it
        fails or says zero or less, the default counts, as on Netlify; *tell* is told what it did.
        """
        if callable(self.backoff):
            wait = _asked(self.backoff, attempt + 1, tell)
        elif self.backoff:
            wait = parse_duration(self.backoff[min(attempt, len(self.backoff) - 1)])
        else:
            wait = None
        return min(wait, MAX_BACKOFF) if wait else default_wait(attempt)

    def schedule(self, tell: Tell | None = None) -> tuple[timedelta, ...]:
        """
        Return every wait there can be: after attempt 0, 1, … up to the last retry.

        *tell* is told where the backoff cannot be asked; see `wait_after`.
        """
        return tuple(self.wait_after(attempt, tell) for attempt in range(self.max_retries))

    def decide(
        self, attempt: int, error: BaseException, tell: Tell | None = None
    ) -> timedelta | None:
        """
        Return the wait before the next attempt, or None if *attempt* was the last.

        *tell* is told where the backoff cannot be asked; see `wait_after`.

        Of several errors in a group, one that is final decides; else the last `RetryAfter`.
        """
        from kit.model.errors import NotSupportedError, ReplayError, StepUsageError
        from kit.model.signals import DoNotRetry, RetryAfter

        final = (DoNotRetry, NotSupportedError, ReplayError, StepUsageError)
        causes = list(_single(error))
        if attempt >= self.max_retries or any(isinstance(each, final) for each in causes):
            return None
        wait = self.wait_after(attempt, tell)
        for each in causes:
            if isinstance(each, RetryAfter) and each.delay > timedelta():
                wait = each.delay if each.force else max(wait, each.delay)
        return min(wait, MAX_BACKOFF if attempt else MAX_FIRST_DELAY)


def default_wait(attempt: int) -> timedelta:
    """Return Netlify's own wait after *attempt*: 5 s twice, then 20 s more each time."""
    return timedelta(seconds=5 if attempt <= 1 else (attempt - 1) * 20)


def _single(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, or what a `TaskGroup` has bundled in it."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _single(each)
    else:
        yield error


def _check_delays(delays: Sequence[Duration]) -> None:
    for delay in delays:
        if parse_duration(delay) <= timedelta():
            msg = f"a backoff of {delay!r} is not honoured by Netlify; use at least 1 ms"
            raise ValueError(msg)


def _asked(backoff: Callable[[int], Duration], attempt: int, tell: Tell | None) -> timedelta | None:
    from kit.model.failure import text_of

    try:
        wait, problem = _understood(backoff(attempt))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - of the user's; Netlify takes its default, too
        wait, problem = None, f"raised {type(error).__name__}: {text_of(error)}"
    if tell is not None and problem:
        name = getattr(backoff, "__name__", repr(backoff))
        tell(f"its backoff, {name}({attempt}), {problem}")
    return wait


def _understood(said: Duration) -> tuple[timedelta | None, str]:
    """Return the wait that a backoff has said; or none, and what it did instead."""
    try:
        wait = parse_duration(said)
    except (TypeError, ValueError) as error:
        return None, f"returned {said!r:.100}: {error}"
    return (wait, "") if wait > timedelta() else (None, f"returned {said!r:.100}, which is no wait")
