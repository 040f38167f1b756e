"""Files that this thread is importing just now: what asks for runs there would wait for itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType


def is_importing() -> bool:
    """Tell whether this thread is importing any module."""
    return next(_module_frames(), None) is not None


def being_imported(folder: Path) -> tuple[Path, int] | None:
    """Return the file below *folder* that this thread is importing, and the line it has reached."""
    for frame in _module_frames():
        file = os.path.realpath(frame.f_code.co_filename)
        if file.startswith(f"{os.path.realpath(folder)}{os.sep}"):
            return Path(file), frame.f_lineno
    return None


def _module_frames() -> Iterator[FrameType]:
    """Yield the frames of modules that are being imported; a script is no such module."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        outer = frame.f_back
        if (
            frame.f_code.co_name == "<module>"
            and outer is not None
            and outer.f_code.co_filename.startswith("<frozen importlib")
        ):
            yield frame
        frame = outer
