"""
Where this process runs, judged from a mapping of variables.

Nothing here reads the environment: `config` hands it in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import SecretStr

KIT_ENTRY = "KIT_ENTRY"
"""Set to 1 by the function entry `kit build` writes, in the Python process it starts."""

MARKS = ("NETLIFY", "NETLIFY_LOCAL", "NETLIFY_DEV", KIT_ENTRY)
"""The variables of which any one says that this is Netlify."""

_FALSE = frozenset({"", "0", "false", "no", "off"})
_KEY = re.compile(r"AWL_API_KEY_P([0-9]{1,9})")


V = TypeVar("V", str, SecretStr)


@dataclass(frozen=True, slots=True)
class Variable(Generic[V]):
    """A value and the variable it stood in."""

    name: str
    value: V


@dataclass(frozen=True, slots=True)
class Hosting:
    """
    What the environment says about where this process runs.

    `reason` names the variable that decided. `urls` are this site's own addresses, the preferred
    one first; empty unless this is Netlify. `context` is the deploy context, such as `production`.
    """

    is_netlify: bool
    reason: str
    context: str | None = None
    urls: tuple[Variable[str], ...] = ()
    api_key: Variable[SecretStr] | None = None

    @property
    def base_url(self) -> Variable[str] | None:
        """The address to send events to, or None if none was found."""
        return self.urls[0] if self.urls else None


def detect(environ: Mapping[str, str]) -> Hosting:
    """Return what *environ* says about where this process runs."""
    mark = next((name for name in MARKS if is_true(environ.get(name))), None)
    return Hosting(
        is_netlify=mark is not None,
        reason=f"{mark} is set" if mark else f"none of {', '.join(MARKS)} is set",
        context=environ.get("CONTEXT") or None,
        urls=tuple(_urls(environ)) if mark else (),
        api_key=_api_key(environ),
    )


def is_true(value: str | None) -> bool:
    """Tell whether a variable is set to anything but an empty text, 0, false, no or off."""
    return (value or "").strip().lower() not in _FALSE


def _urls(environ: Mapping[str, str]) -> Iterator[Variable[str]]:
    own = ("URL", "DEPLOY_URL") if environ.get("CONTEXT") == "production" else ("DEPLOY_URL", "URL")
    for name in own:
        if value := environ.get(name):
            yield Variable(name, value)


def _api_key(environ: Mapping[str, str]) -> Variable[SecretStr] | None:
    # documented order: the highest number sends; as numbers, so that P10 comes after P9
    numbered = [
        (int(match[1]), name)
        for name, value in environ.items()
        if value and (match := _KEY.fullmatch(name))
    ]
    name = max(numbered)[1] if numbered else "AWL_API_KEY"
    value = SecretStr(environ.get(name, ""))
    return Variable(name, value) if value else None
