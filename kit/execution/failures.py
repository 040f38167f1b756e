"""
The failures of an attempt: which step they came from, and which are to blame for its end.

Who caught what is not asked while the handler runs. When it ends with an exception, that is walked
through: itself, `__cause__`, `__context__` (most people raise in `except` without `from`), and the
members of groups. Failures of steps found there, by identity, are to blame; the others were dealt
with.
"""

from __future__ import annotations

from collections.abc import Iterator

from kit.model.errors import ArgumentError


class Failures:
    """The exceptions that steps have raised in the handler, each with the step's id."""

    def __init__(self) -> None:
        # an id lives as long as its object; what leaves a step within a step is of both
        self._noted: dict[int, tuple[BaseException, list[str]]] = {}
        self._hopeless: dict[int, BaseException] = {}

    def note(self, error: BaseException, step_id: str) -> None:
        """Note that a step has failed with *error*."""
        self._noted.setdefault(id(error), (error, []))[1].insert(0, step_id)

    def give_up(self, error: BaseException) -> None:
        """Note that trying again could not help: JSON cannot carry what it is about, say."""
        self._hopeless[id(error)] = error

    def to_blame(self, error: BaseException) -> tuple[str, ...]:
        """Return the ids of the steps that are to blame for *error*, each once."""
        found = (self._noted.get(id(part)) for part in parts_of(error))
        return tuple(dict.fromkeys(step_id for noted in found if noted for step_id in noted[1]))

    def is_hopeless(self, error: BaseException) -> bool:
        """Tell whether something in *error* cannot succeed however often it is tried."""
        return any(
            id(part) in self._hopeless
            # what the handler asks for as it cannot be, it asks for again; a step may not
            or (isinstance(part, ArgumentError) and id(part) not in self._noted)
            for part in parts_of(error)
        )

    def step_of(self, error: BaseException) -> str | None:
        """Return the id of the step that *error* came from, if it came from one."""
        return next(iter(self.to_blame(error)), None)


def parts_of(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all that it came from or holds, each once."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += (part.__context__, part.__cause__)
        if isinstance(part, BaseExceptionGroup):
            todo += reversed(part.exceptions)
