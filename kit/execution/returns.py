"""What a step's function says that it returns, as what pydantic makes values of."""

from __future__ import annotations

import ast
import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any, NamedTuple, get_args, get_origin
from weakref import WeakKeyDictionary

from kit.model.annotations import adapter_for
from kit.model.workflow import annotation_of

_NATIVE = (dict, list, str, int, float, bool, type(None), Any, None, object)
_NATIVE_NAMES = {"dict", "list", "str", "int", "float", "bool", "None", "Any", "object"}
_AWAITABLE = (Awaitable, Coroutine)
_ITERABLE = (Iterable, Iterator, Generator)

# functions come and go with closures; an adapter takes far longer to make than a step to store
_adapters: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()


class _Unused(NamedTuple):
    """Stands for the adapter of an annotation that none can be made of."""

    why: str


def adapter_of(function: Callable[..., Any]) -> Any:
    """Return pydantic's adapter for the function's return annotation, or None if JSON will do."""
    if not getattr(function, "__annotations__", True):
        return None
    found = _found(function)
    return None if type(found) is _Unused else found


def why_unused(function: Callable[..., Any]) -> str | None:
    """Return why the function's return annotation is passed over, if it is, and what to do."""
    found = _found(function)
    return found.why if type(found) is _Unused else None


def check_returns(function: Callable[..., Any]) -> None:
    """
    Refuse a function whose return annotation nobody can read.

    Raises:
        TypeError: If it is a text that is no expression of Python's.
    """
    if not getattr(function, "__annotations__", True):
        return  # as of a lambda; this is asked for at each step
    function, raw = _stated(function)
    if isinstance(raw, str) and raw not in _NATIVE_NAMES:
        _check_syntax(raw, getattr(function, "__qualname__", repr(function)))


@functools.lru_cache(maxsize=1024)  # it is asked for at each step
def _check_syntax(raw: str, name: str) -> None:
    try:
        stated = ast.parse(raw.strip(), "<annotation>", "eval").body
    except (SyntaxError, ValueError) as error:
        msg = (
            f"the return annotation {raw!r} of {name} is no expression of Python's ({error}), so"
            " its value could not be stored by it; put it right. The function was not called"
        )
        raise TypeError(msg) from error
    if isinstance(stated, ast.Constant) and isinstance(stated.value, str):
        _check_syntax(stated.value, name)  # in quotes, where all annotations are texts


def _stated(function: Callable[..., Any]) -> tuple[Callable[..., Any], Any]:
    """Return the function that is called in the end, and its return annotation as it is written."""
    while isinstance(function, functools.partial):
        function = function.func
    stated = getattr(function, "__annotations__", None)
    return function, stated.get("return", Any) if stated else Any


def _found(function: Callable[..., Any]) -> Any:
    function, raw = _stated(function)
    if raw is Any:
        return None
    if (raw in _NATIVE_NAMES) if isinstance(raw, str) else _is_native(raw):
        return None
    function = getattr(function, "__func__", function)  # a method is made anew at each look
    try:
        return _adapters[function]
    except KeyError:
        adapter = _adapters[function] = _made(function)
        return adapter
    except TypeError:  # it cannot be hashed
        return _made(function)


def _made(function: Callable[..., Any]) -> Any:
    try:
        annotation = _value_of(annotation_of(function, "return"))
        return None if _is_native(annotation) else adapter_for(annotation)
    except TypeError as error:
        return _Unused(str(error))


def _value_of(annotation: Any) -> Any:
    """Return what there is once *annotation* has been awaited, or gone through."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in _AWAITABLE and arguments:
        return _value_of(arguments[-1])
    if origin in _ITERABLE:
        return list[arguments[0]] if arguments else list  # type: ignore[valid-type]
    return annotation


def _is_native(annotation: Any) -> bool:
    """Tell whether *annotation* allows only what JSON has, as far as it looks."""
    origin, arguments = getattr(annotation, "__origin__", None), get_args(annotation)
    if origin is dict:
        return arguments[0] in (str, Any) and _is_native(arguments[1])
    if origin is list:
        return all(_is_native(argument) for argument in arguments)
    return annotation in _NATIVE
