"""What commands say and how: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from kit.model.errors import WorkflowError, WorkflowImportError


def print_json(value: Any) -> None:
    """Print *value* as one line of JSON on standard output, readable where that can be written."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, or a narrow terminal
        text = json.dumps(value)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Replace what would do something to a terminal, line ends as well."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(text: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def report(error: WorkflowError, *, as_json: bool) -> None:
    """Print *error*: its message on standard error, or its JSON form on standard output."""
    if as_json:
        print_json(error.to_json())
    else:
        if isinstance(error, WorkflowImportError) and error.traceback_text:
            say(error.traceback_text.rstrip())
        say(f"error: {error.message}")
