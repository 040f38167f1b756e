"""Commands that are named to whoever may want them next."""

from __future__ import annotations


def kept_here(command: str = "") -> str:
    """
    Return `kit runs` with *command*, as it is about the runs kept here.

    Where the settings name a site, `kit runs` is about that site's, unless it is told otherwise.
    """
    from kit.project.config import load

    said = f"kit runs {command}".rstrip()
    return said if load().provider == "local" else f"{said} --local"
