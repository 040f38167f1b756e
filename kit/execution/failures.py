"""
The failures of an attempt: which step they came from, and which are to blame for its end.

Who caught what is not asked while the handler runs. When it ends with an exception, that is walked
through: itself, `__cause__`, `__context__` (most people raise in `except` without `from`), and the
members of groups. Failures of steps found there, by identity, are to blame; the others were dealt
with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kit.model.errors import ArgumentError


class Failures:
    """The exceptions that steps have raised in the handler, each with the step's id."""

    def __init__(self) -> None:
        # an id lives as long as its object; what leaves a step within a step is of both
        self._noted: dict[int, tuple[BaseException, list[str]]] = {}
        self._hopeless: dict[int, BaseException] = {}

    def note(self, error: BaseException, step_id: str) -> None:
        """Note that a step has failed with *error*; those within it are noted before."""
        self._noted.setdefault(id(error), (error, []))[1].insert(0, step_id)

    def give_up(self, error: BaseException) -> None:
        """Note that trying again could not help: JSON cannot carry what it is about, say."""
        self._hopeless[id(error)] = error

    def is_given_up(self, error: BaseException) -> bool:
        """Tell whether *error* itself was given up, by a step within another, say."""
        return id(error) in self._hopeless

    def to_blame(self, error: BaseException) -> tuple[str, ...]:
        """Return the ids of the steps that are to blame for *error*, each once."""
        found = (self._noted.get(id(part)) for part in parts_of(error))
        return tuple(dict.fromkeys(step_id for noted in found if noted for step_id in noted[1]))

    def is_hopeless(self, error: BaseException) -> bool:
        """Tell whether something in *error* cannot succeed however often it is tried."""
        behind = parts_of(error, lambda part: () if self._may_succeed(part) else _behind(part))
        if any(id(part) in self._hopeless for part in behind):
            return True
        # what the handler asks for as it cannot be, it asks for again; unless it dealt with that
        asked = parts_of(error, lambda part: () if self._may_succeed(part) else _causes(part))
        return any(
            isinstance(part, ArgumentError) and not self._may_succeed(part) for part in asked
        )

    def _may_succeed(self, error: BaseException) -> bool:
        """Tell whether *error* is of a step that may come to something else, whatever it is."""
        return id(error) in self._noted and id(error) not in self._hopeless

    def step_of(self, error: BaseException) -> str | None:
        """Return the id of the step that *error* came from, if it came from one."""
        return next(iter(self.to_blame(error)), None)


def _causes(error: BaseException) -> Iterable[BaseException | None]:
    """Return what *error* was raised from, and what it holds."""
    held = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return (error.__cause__, *reversed(held))


def _behind(error: BaseException) -> Iterable[BaseException | None]:
    """Return the same, and what *error* was raised in."""
    return (error.__context__, *_causes(error))


def parts_of(
    error: BaseException,
    behind: Callable[[BaseException], Iterable[BaseException | None]] = _behind,
) -> Iterator[BaseException]:
    """Yield *error* and all that it came from or holds, each once; what is *behind* each."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += behind(part)
