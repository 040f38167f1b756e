"""What of a value would be lost if it became JSON, though pydantic can turn it into that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kit.model.errors import PayloadError

_MISSING = object()


def check_lossless(value: Any, what: str) -> None:
    """
    Accept *value* if its JSON form has all of it.

    Raises:
        PayloadError: For a secret, a field that is excluded, or keys that become one; it names the
            place within *what*, and what to do.
    """
    for place, found in _walk(value, ""):
        at = f"{what} at {place!r}" if place else what
        if _is_secret(found):
            msg = (
                f"{at} is a {type(found).__name__}, which would be stored as stars; keep secrets"
                " elsewhere, or return its get_secret_value()"
            )
            raise PayloadError(msg)
        excluded = _excluded(found)
        if excluded:
            msg = (
                f"{at} is a {type(found).__name__} whose field {excluded!r} is excluded from JSON;"
                " return what is to be kept as a field of its own"
            )
            raise PayloadError(msg)
        if isinstance(found, dict) and len({_key(each) for each in found}) < len(found):
            msg = f"{at} has keys that are one in JSON, such as 1 and '1'; use texts"
            raise PayloadError(msg)


def check_whole(value: Any, back: Any, what: str) -> None:
    """
    Accept *back* as what an annotation gives for *value* if it has every field of it.

    Raises:
        PayloadError: If *value* is of a subclass with more fields than the annotation's class.
    """
    if isinstance(value, dict) and isinstance(back, dict):
        gone = [key for key in value if key not in back]
        if gone:
            msg = f"{what} has the key {gone[0]!r}, which its annotation does not; add it there"
            raise PayloadError(msg)
        for key, item in value.items():
            check_whole(item, back[key], f"{what} at {key!r}")
    elif isinstance(value, (list, tuple)) and isinstance(back, (list, tuple)):
        for item, other in zip(value, back, strict=False):
            check_whole(item, other, what)
    else:
        _check_fields(value, back, what)


def _check_fields(value: Any, back: Any, what: str) -> None:
    if isinstance(back, dict):
        return
    fields, others = _fields(value), _fields(back)
    gone = [name for name in fields if name not in others]
    if others and gone:
        msg = (
            f"{what} is a {type(value).__name__}, and its annotation says {type(back).__name__},"
            f" which has no {gone[0]!r}; annotate the step's function with"
            f" -> {type(value).__name__}"
        )
        raise PayloadError(msg)
    for name, item in fields.items():
        check_whole(item, others.get(name), what)


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    yield place, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{place}[{index}]")
    else:
        for name, item in _fields(value).items():
            yield from _walk(item, f"{place}.{name}")


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a model or dataclass; nothing of anything else."""
    kind = type(value)
    names = _declared(kind) or getattr(kind, "__dataclass_fields__", None) or ()
    fields = {name: getattr(value, name, None) for name in names}
    return {**fields, **(getattr(value, "__pydantic_extra__", None) or {})}


def _declared(kind: type) -> dict[str, Any]:
    declared = getattr(kind, "__pydantic_fields__", None)
    return declared if isinstance(declared, dict) else {}


def _excluded(value: Any) -> str | None:
    """Return the name of a field that is left out of JSON though it has been set."""
    for name, field in _declared(type(value)).items():
        if field.exclude and getattr(value, name, _MISSING) != field.get_default(
            call_default_factory=False
        ):
            return name
    return None


def _is_secret(value: Any) -> bool:
    return callable(getattr(value, "get_secret_value", None))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    from pydantic_core import to_jsonable_python

    return next(iter(to_jsonable_python({key: None})))  # type: ignore[no-any-return]
