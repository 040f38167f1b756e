"""
What commands say and how: results on standard output, everything else on standard error.

What is said may hold a stranger's text, such as a run's error: nothing of it acts on a terminal.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from kit.model.errors import WorkflowError, WorkflowImportError
from kit.model.printable import printable

_LAYOUT = "\n\t"


def prepare() -> None:
    """Have streams, though one is closed, as by `kit list >&-`; what is written takes any text."""
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - to the end
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # however narrow the terminal's encoding


def leave_output() -> None:
    """Forget what cannot be written, which else Python would try again at its end, and tell."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def print_json(value: Any) -> None:
    """Print *value* as one line of JSON on standard output, readable where that can be written."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
        is_readable = printable(text) == text
    except UnicodeEncodeError:  # half a surrogate pair, or a narrow terminal
        is_readable = False
    if not is_readable:
        text = json.dumps(value)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print a line of a result, or several, on standard output."""
    sys.stdout.write(printable(text, keep=_LAYOUT) + "\n")


def say(text: str) -> None:
    """Print a line, or several, on standard error."""
    sys.stderr.write(printable(text, keep=_LAYOUT) + "\n")
    sys.stderr.flush()


def report(error: WorkflowError, *, as_json: bool) -> None:
    """Print *error*: its message on standard error, or its JSON form on standard output."""
    if as_json:
        print_json(error.to_json())
    else:
        if isinstance(error, WorkflowImportError) and error.traceback_text:
            say(error.traceback_text.rstrip())
        say(f"error: {error.message}")
