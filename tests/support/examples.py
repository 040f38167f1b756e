"""How many examples Hypothesis tries."""

from hypothesis import settings

BUSY = "busy"
AGAIN = "again"
"""The same properties a second time, on another Python: a fifth of the examples, none kept."""

_USUAL = 100


def register_profiles() -> None:
    """A busy machine is not the code's fault, so nothing has a deadline."""
    settings.register_profile(BUSY, max_examples=_USUAL, deadline=None)
    settings.register_profile(AGAIN, max_examples=_USUAL // 5, deadline=None, database=None)


def examples(number: int) -> int:
    """Return *number*, or what the profile in use leaves of it."""
    return number * settings().max_examples // _USUAL
