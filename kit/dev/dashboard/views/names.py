"""Names as parts of an address: a browser takes `.` and `..` in a path, encoded or not, as ways."""

from __future__ import annotations

from urllib.parse import quote

_GUARD = "~"


def path_of(name: str) -> str:
    """Return *name* as the end of a path; `name_in` returns it again."""
    return quote("/".join(map(_guarded, name.split("/"))))


def name_in(path: str) -> str:
    """Return the name that *path*, decoded, ends with."""
    return "/".join(part.removeprefix(_GUARD) for part in path.split("/"))


def _guarded(part: str) -> str:
    return _GUARD + part if part in (".", "..") or part.startswith(_GUARD) else part
