"""Children that a test forks."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_child(act: Callable[[], object]) -> int:
    """Return the exit status of a forked child that does *act*; 9 if that raises."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 9
    try:
        act()
        status = 0
    finally:
        os._exit(status)
