"""
Whether the threads of a plain handler wait for each other.

A handler that begins threads of its own tells nobody of them. But what a thread is at can be seen:
one that waits stands in a lock or a queue of the standard library's.
"""

from __future__ import annotations

import queue
import selectors
import sys
import threading
from concurrent.futures import _base, thread

from kit.execution.threads import NAME

_WAITING = {module.__file__ for module in (threading, queue, selectors, _base, thread)}


def all_wait(handler: int | None) -> bool:
    """
    Tell whether the thread *handler* waits, and all others that may have to do with it.

    Those that carry out the kit's calls are known otherwise. One that was woken this very moment
    still seems to wait.
    """
    kit = {each.ident for each in threading.enumerate() if each.name == NAME} - {handler}
    frames = sys._current_frames()
    try:
        waiting = {ident for ident, at in frames.items() if at.f_code.co_filename in _WAITING}
        return handler in waiting and {*frames} - waiting <= {*kit, threading.get_ident()}
    finally:
        del frames
