"""JSON texts as people read them: set in lines, cut where they are long."""

from __future__ import annotations

import json
from dataclasses import dataclass

SHOWN = 2_000
"""Characters of a value that a page shows; the rest is there for the asking."""

_SET_UP_TO = 20_000
"""Characters up to which a value is set in lines; a page is not to wait for a megabyte."""


@dataclass(frozen=True, slots=True)
class Value:
    """The beginning of a value, and its size in characters if there is more of it."""

    text: str
    size: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether `text` is only the beginning."""
        return self.size > 0


def shown(text: str, longest: int = SHOWN) -> Value:
    """Return *text*, which is JSON, set in lines, and cut after *longest* characters."""
    if len(text) > _SET_UP_TO:
        return Value(text[:longest], len(text))
    lines = set_in_lines(text)
    return Value(lines) if len(lines) <= longest else Value(lines[:longest], len(text))


def set_in_lines(text: str) -> str:
    """Return *text* with one item a line; as it is, if it is not JSON."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def size_in_words(characters: int) -> str:
    """Return a size as people say it: `900 characters`, `12 kB`, `1.0 MB`."""
    if characters < 1_000:
        return f"{characters} characters"
    if characters < 1_000_000:
        return f"{characters / 1_000:.0f} kB"
    return f"{characters / 1_000_000:.1f} MB"
