"""
Templates to text. Whatever goes into one is escaped: nothing a workflow says is markup, and nothing
turns a line's direction around. What a form is to send back as it was passes through `as_is`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from kit.dev.dashboard.views.names import path_of
from kit.dev.dashboard.views.rows import value_of
from kit.dev.dashboard.views.values import shown, size_in_words
from kit.model.duration import in_words
from kit.model.printable import printable
from kit.version import __version__

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
TEMPLATES = _HERE / "templates"


class Renderer:
    """
    Renders the templates: `prefix` is where the pages are mounted, `token` what forms bring.

    `instance` tells one start of the server from the next, whose token is another.
    """

    def __init__(self, *, prefix: str, token: str, project: str) -> None:
        self.instance = hashlib.sha256(token.encode()).hexdigest()[:12]
        self._known = {
            "at": prefix,
            "token": token,
            "project": project,
            "version": __version__,
            "build": _fingerprint(),
            "instance": self.instance,
        }

    @cached_property
    def _templates(self) -> jinja2.Environment:
        """The templates; jinja2 is loaded for the first page."""
        import jinja2

        templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=_finalized,
        )
        templates.filters |= _FILTERS
        templates.globals |= self._known
        return templates

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """Return *template* filled with *values*."""
        return self._templates.get_template(template).render(values)


class _AsIs(str):
    """A text that is to come back from a form as it was."""

    __slots__ = ()


def _finalized(value: Any) -> Any:
    """Return what stands for *value* on a page."""
    if not isinstance(value, str) or isinstance(value, Markup | _AsIs):
        return value
    return readable(value)


def readable(text: str) -> str:
    """Return *text* with what is unseen, or turns a line's direction around, spelled out."""
    return printable(text, keep="\n\t")


def sentence(text: str) -> str:
    """Return *text* beginning as a sentence does, unless it begins with an address."""
    return text if "://" in text.split(" ", 1)[0] else text[:1].upper() + text[1:]


def _fingerprint() -> str:
    """Return a name for what is in the folder of static files, so that none is kept too long."""
    found = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def iso(milliseconds: float) -> str:
    """Return a moment as machines read it, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds")


def moment(milliseconds: float) -> str:
    """Return a moment in local time, to the second."""
    return datetime.fromtimestamp(milliseconds / 1_000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock(milliseconds: float) -> str:
    """Return the time of day of a moment in local time, to the millisecond."""
    local = datetime.fromtimestamp(milliseconds / 1_000).astimezone()
    return local.strftime("%H:%M:%S.") + f"{local.microsecond // 1_000:03}"


def percent(number: float) -> str:
    """Return a share of the width as SVG has it."""
    return f"{number:.2f}%"


def as_json(value: Any) -> str:
    """Return *value* set in lines, as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


_FILTERS = {
    "words": in_words,
    "iso": iso,
    "moment": moment,
    "clock": clock,
    "percent": percent,
    "value_text": value_of,
    "shown": shown,
    "size": size_in_words,
    "path_of": path_of,
    "as_json": as_json,
    "as_is": _AsIs,
    "sentence": sentence,
}
