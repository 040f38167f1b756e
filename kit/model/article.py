"""The article that goes before a noun."""

from __future__ import annotations


def with_article(noun: str) -> str:
    """Return *noun*, such as a type's name, with `a` or `an` before it: an object, a UUID."""
    return f"{'an' if noun[:1].lower() in tuple('aeio') else 'a'} {noun}"
