"""`read_validated_payload`: check a value somebody else sent before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_origin, overload

from kit.model.annotations import adapter_for, validated
from kit.model.errors import PayloadError

T = TypeVar("T")


@overload
def read_validated_payload(value: Any, validator: type[T]) -> T: ...
@overload
def read_validated_payload(value: Any, validator: Callable[[Any], Any]) -> Any: ...
def read_validated_payload(value: Any, validator: Any) -> Any:
    """
    Return *value* if it is valid, converted as *validator* has it.

    *validator* is a model or any other type pydantic knows; or a function, whose answer False
    refuses the value, True or None keeps it, and anything else replaces it.

    Raises:
        PayloadError: If the value is refused: code VALIDATION_ERROR, `http_status` 400, `issues`.
        Exception: What a function raised, if that carries an HTTP status of its own.
    """
    if isinstance(validator, type) or get_origin(validator) is not None or not callable(validator):
        return validated(adapter_for(validator), value, "the payload")
    try:
        answer = validator(value)
    except Exception as error:
        if any(hasattr(error, name) for name in ("http_status", "status_code", "status")):
            raise
        msg = f"the payload is invalid: {error}"
        raise PayloadError(msg, issues=[{"msg": str(error), "loc": []}]) from error
    if answer is False:
        msg = "the payload is invalid: its validator refused it"
        raise PayloadError(msg)
    return value if answer is True or answer is None else answer
