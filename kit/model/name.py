"""What may name an event, and so a workflow."""

from __future__ import annotations

from kit.model.errors import ArgumentError

MAX_NAME_LENGTH = 381
"""Characters. Netlify keeps it base64-coded in a key of at most 600 bytes; the rest takes 89."""


PLATFORM = "awl:"
"""How the names of Async Workloads' own events begin, which delete and retry those of a site."""


def check_own_name(name: str) -> str:
    """
    Return *name* if a workflow may have it, or an event that is sent.

    Raises:
        ArgumentError: If it can name no event, or is the platform's own; the message says why.
    """
    if isinstance(name, str) and name.strip().lower().startswith(PLATFORM):
        msg = (
            f"{name!r} is a name of Async Workloads' own: its events delete and retry those of the"
            " site, for which there are delete_events and retry_events of a WorkflowClient"
        )
        raise ArgumentError(msg)
    return check_name(name)


def check_name(name: str) -> str:
    """
    Return *name* if it can name an event: printable Latin-1, no blanks at its ends.

    Raises:
        ArgumentError: If it cannot; the message says why.
    """
    if not isinstance(name, str):
        msg = f"an event name must be a text, not {name!r}"
        raise ArgumentError(msg)
    if not name or name != name.strip():
        msg = f"{name!r} is no event name: it is empty, or begins or ends with a blank"
        raise ArgumentError(msg)
    if len(name) > MAX_NAME_LENGTH:
        msg = f"an event name of {len(name)} characters is too long: at most {MAX_NAME_LENGTH}"
        raise ArgumentError(msg)
    if not name.isprintable() or (
        not name.isascii() and any(ord(character) > 0xFF for character in name)
    ):
        msg = f"{name!r} is no event name: Netlify stores printable Latin-1 characters only"
        raise ArgumentError(msg)
    return name
