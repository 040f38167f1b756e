"""The run file, open to be read until the command has ended."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

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
