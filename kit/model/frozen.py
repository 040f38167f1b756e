"""What cannot be changed once it is made: as a frozen dataclass, which takes 0.7 ms a class."""

from __future__ import annotations

from typing import Any, NoReturn


class Frozen:
    """A base of plain classes that set their attributes once, with `_set`."""

    __slots__ = ()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        msg = f"{type(self).__name__} cannot be changed: make another one with another {name!r}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = f"{type(self).__name__} cannot be changed: {name!r} stays"
        raise AttributeError(msg)
