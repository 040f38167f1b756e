"""The run file, open to be read until the command has ended."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from kit.model.delivery import CheckpointKind
from kit.model.errors import StoreError

if TYPE_CHECKING:
    from kit.store.sqlite.reader import Reader

readers = ExitStack()
"""What the running command has open; to be closed with it."""


def open_reader(path: Path) -> Reader:
    """
    Return a reader of the run file at *path*; it is closed with the command.

    Raises:
        StoreError: If the file cannot be read, or is not a run file.
    """
    from kit.store.sqlite.reader import Reader

    return readers.enter_context(closing(Reader(path)))


def asleep_in(reader: Reader, run_id: str) -> dict[str, int]:
    """Return when each sleep of a run ends that is stored, and not over; none if it is damaged."""
    try:
        stored = reader.checkpoints(run_id, check=False)
    except StoreError:
        return {}
    sleeps = (each for each in stored.values() if each.kind is CheckpointKind.SLEEP)
    return {each.step_id: each.ended for each in sleeps if each.sequence is None}
