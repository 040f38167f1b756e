"""What a report that shows the variables of frames would meet on the way of an error."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import Secret, SecretStr

from kit.cli.loading import Commands

REPOSITORY = Path(__file__).parents[2]
_TESTS = str(REPOSITORY / "tests")
_DUG_INTO = ("kit", "click", "typer")
"""Packages whose objects are looked into, attribute by attribute; of others the repr counts."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error*, and all that led to it, also what is not shown."""
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def where_is(secret: str, error: BaseException) -> list[str]:
    """Return the places in the frames and attributes of *error* that hold *secret*."""
    found = []
    for one in chain(error):
        looked = _Look(secret)
        found += [f"{type(one).__name__}{place}" for place in looked.into(vars(one), "")]
        found += [f"{type(one).__name__}.args" for _ in looked.into(one.args, "")]
        trace = one.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if not code.co_filename.startswith(_TESTS):
                for name, value in list(trace.tb_frame.f_locals.items()):
                    where = f"{Path(code.co_filename).name}:{code.co_name}: {name}"
                    found += looked.into(value, where)
            trace = trace.tb_next
    return found


def count_frames(error: BaseException) -> int:
    """Return how many frames of the kit *error* has come through."""
    count = 0
    for one in chain(error):
        trace = one.__traceback__
        while trace is not None:
            count += str(REPOSITORY / "kit") in trace.tb_frame.f_code.co_filename
            trace = trace.tb_next
    return count


class _Look:
    """Looks into values, each once."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: dict[int, Any] = {}

    def into(self, value: Any, where: str, depth: int = 0) -> Iterator[str]:
        if isinstance(value, str | bytes | bytearray):
            text = value if isinstance(value, str) else value.decode("latin-1")
            if self._secret in text:
                yield where
            return
        if isinstance(value, Secret | SecretStr) or id(value) in self._seen or depth > 12:
            return
        self._seen[id(value)] = value  # kept, so that no other gets its id
        inner = list(_inside(value))
        if not inner and self._secret in _shown(value):
            yield where
        for name, each in inner:
            yield from self.into(each, f"{where}{name}", depth + 1)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - half made, as things are where an error is raised
        return ""


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    for kind, looks in _KINDS:
        if isinstance(value, kind):
            yield from looks(value)
            return
    if is_dataclass(value) or type(value).__module__.split(".")[0] in _DUG_INTO:
        yield from _attributes(value)


def _nothing(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ()


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"[{name!r}]", each) for name, each in list(value.items()))


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"[{index}]", each) for index, each in enumerate(list(value)))


def _bound(value: Any) -> Iterator[tuple[str, Any]]:
    yield from (("(args)", value.args), ("(kw)", value.keywords), ("()", value.func))


def _closure(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"<{n}>", cell.cell_contents) for n, cell in enumerate(value.__closure__ or ()))


def _frame(value: Any) -> Iterator[tuple[str, Any]]:
    frame = getattr(value, "gi_frame", None) or getattr(value, "cr_frame", None)
    yield "<frame>", frame.f_locals if frame else None


_KINDS: tuple[tuple[Any, Any], ...] = (
    (types.ModuleType | type | range, _nothing),
    (Commands, lambda value: [("._loaded", value._loaded)]),  # to ask for the others loads them
    (Mapping, _items),
    (Sequence | AbstractSet, _members),
    (functools.partial, _bound),
    (types.MethodType, lambda value: [(".__self__", value.__self__)]),
    (types.FunctionType, _closure),
    (types.GeneratorType | types.CoroutineType, _frame),
)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    names = set(getattr(value, "__dict__", ()))
    names |= {slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ())}
    if is_dataclass(value):
        names |= {field.name for field in fields(value)}
    for name in sorted(names - {"__dict__", "__weakref__"}):
        if hasattr(value, name):
            yield f".{name}", getattr(value, name)
