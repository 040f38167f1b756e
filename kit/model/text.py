"""
JSON texts: what may be stored or sent, and how it comes back.

Everything a run remembers passes through JSON. What would come back as something else is refused
when it is stored, with the place in the data, rather than found out at a replay. The handler gets
the value as it will be after a replay from the very first time.
"""

from __future__ import annotations

import json
import math
from types import CoroutineType
from typing import Any

from kit.model.article import with_article
from kit.model.errors import PayloadError

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer JavaScript keeps exact."""

MAX_DEPTH = 256
"""
How deep lists and dictionaries may lie in each other: far less than Python's stack allows, so that
what was encoded in one place can be decoded in any other.
"""

encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_raw_decode = json.JSONDecoder().raw_decode


def dump(value: Any, what: str = "the value") -> str:
    """
    Return *value* as JSON that reads back as the same value; tuples read back as lists.

    Raises:
        PayloadError: If it would not; the message names the place within *what*.
    """
    return dump_checked(value, what)[0]


def dump_checked(value: Any, what: str) -> tuple[str, Any]:
    """Return *value* as JSON, and what it reads back as. Raises as `dump` does."""
    try:
        text = encode(value)
        if not text.isascii():
            text = _survives_utf8(text, value)
        if is_too_deep(value, text.count("[") + text.count("{")):
            raise RecursionError
        back = _raw_decode(text)[0]
        if back != value:
            _check(value, what, ())
    except (TypeError, ValueError, RecursionError) as error:
        raise _explained(value, what, error) from error
    return text, back


def is_too_deep(value: Any, brackets: int) -> bool:
    """Tell whether *value*, whose JSON has so many opening *brackets*, is nested too deeply."""
    if brackets <= MAX_DEPTH:
        return False  # nearly always, and quick to see
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list, tuple))
        ]
        if not level:
            return False
    return True


def call_of(coroutine: Any) -> str:
    """Return the call that made *coroutine*, which was never awaited, as its user wrote it."""
    step_id = coroutine.cr_frame.f_locals.get("step_id") if coroutine.cr_frame else None
    given = "…" if step_id is None else f"{step_id!r}, …"
    return f"{coroutine.__name__}({given})"


def decode(text: str | None) -> Any:
    """Return what a JSON text says; None for none."""
    return None if text is None else json.loads(text)


def _survives_utf8(text: str, value: Any) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return encode_ascii(value)  # lone surrogates survive as escapes
    return text


def _explained(value: Any, what: str, error: Exception) -> PayloadError:
    if isinstance(error, RecursionError) or "Circular" in str(error):
        return PayloadError(f"{what} contains itself, or is nested too deeply for JSON")
    try:
        _check(value, what, ())
    except PayloadError as found:
        return found
    return PayloadError(f"{what} is not JSON: {error}")


def _check(value: Any, what: str, path: tuple[str | int, ...]) -> None:
    """Raise for the first place in *value* that JSON would not keep."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, what, path)
            _check(item, what, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, what, (*path, index))
    elif isinstance(value, str):
        _check_pairs(value, what, path)
    elif isinstance(value, float) and not math.isfinite(value):
        msg = f"{_at(what, path)} is {value!r}, which JSON does not have; use null or a text"
        raise PayloadError(msg)
    elif not isinstance(value, (int, float, bool, type(None))):
        msg = f"{_at(what, path)} is {_no_json(value)}"
        raise PayloadError(msg)


def _no_json(value: Any) -> str:
    if isinstance(value, CoroutineType):
        return f"a coroutine: did you forget to await {call_of(value)}?"
    return f"{with_article(type(value).__name__)}, which is not JSON"


def _check_key(key: Any, what: str, path: tuple[str | int, ...]) -> None:
    if not isinstance(key, str):
        msg = f"{_at(what, path)} has the key {key!r}: JSON has text keys only"
        raise PayloadError(msg)
    _check_pairs(key, what, path)


def _check_pairs(text: str, what: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii() and _raw_decode(encode_ascii(text))[0] != text:
        msg = f"{_at(what, path)} holds two halves of a surrogate pair, which JSON would join"
        raise PayloadError(msg)


def _at(what: str, path: tuple[str | int, ...]) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{what} at {place!r}" if place else what


def check_travels(value: Any, what: str = "the input") -> str:
    """
    Return *value* as JSON, if it arrives unchanged through JavaScript.

    Raises:
        PayloadError: For integers beyond 2^53, not-a-number, lone surrogates, and what is not
            JSON at all; the message names the place.
    """
    text = dump(value, what)
    try:
        _check_travels(value, what, ())
    except RecursionError as error:  # pragma: no cover - from 3.12 C goes deeper than Python
        raise _explained(value, what, error) from error
    return text


def _check_travels(value: Any, what: str, path: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        _check_text(value, what, path)
    elif isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        msg = (
            f"{_at(what, path)} is {value}: JavaScript, which carries events, rounds integers"
            " beyond 2^53; send it as a text"
        )
        raise PayloadError(msg)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, what, path)
            _check_travels(item, what, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_travels(item, what, (*path, index))


def _check_text(text: str, what: str, path: tuple[str | int, ...]) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        msg = f"{_at(what, path)} holds half a surrogate pair, which cannot be sent as UTF-8"
        raise PayloadError(msg)
