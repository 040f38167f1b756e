"""Failures: an exception as data, which can be stored and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kit.model.errors import WorkflowError

if TYPE_CHECKING:
    from traceback import TracebackException

# the kit's own frames, and those of the future a plain handler waits for a step with
_KIT = __file__.rpartition("model")[0]
_FUTURES = ("concurrent/futures/_base.py", "concurrent\\futures\\_base.py")


class Failure(NamedTuple):
    """An exception, as data: its type, message and traceback, and the step it came from."""

    type: str
    message: str
    traceback: str = ""
    step_id: str | None = None
    code: str | None = None


def failure_of(error: BaseException, step_id: str | None = None) -> Failure:
    """Return *error* as a record, with a traceback that leaves the kit's own frames out."""
    import traceback

    whole = traceback.TracebackException.from_exception(error)
    _cut(whole, set())
    return Failure(
        type=type(error).__qualname__,
        message=text_of(error),
        traceback="".join(whole.format()),
        step_id=step_id or getattr(error, "step_id", None),
        code=error.code if isinstance(error, WorkflowError) else None,
    )


def text_of(error: BaseException) -> str:
    """Return what *error* says, also where its class cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a class whose text cannot be made
        return f"<{type(error).__qualname__} without a text>"


def _cut(part: TracebackException | None, seen: set[int]) -> None:
    if part is None or id(part) in seen:
        return
    seen.add(id(part))
    stack = part.stack
    stack[:] = [frame for frame in stack if not _is_ours(frame.filename)]
    for other in (part.__cause__, part.__context__, *(part.exceptions or ())):
        _cut(other, seen)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_KIT) or filename.endswith(_FUTURES)
