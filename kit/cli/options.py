"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.arguments import KEY_OPTION, given_key
from kit.cli.screen.terminal import say

PATIENCE_SECONDS = 1.0
"""How long input is waited for in silence."""

Data = Annotated[
    str | None, typer.Option("--data", help="Its input: JSON, @file, or - for standard input.")
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", help="The site, instead of WORKFLOW_BASE_URL.")
]
ApiKey = Annotated[
    Any,  # a SecretStr, or None: what it takes to say so takes long to load
    typer.Option(
        KEY_OPTION,
        parser=given_key,
        metavar="TEXT",
        help="Its key; others can see it here, unlike WORKFLOW_API_KEY.",
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.05, max=3600, help="Seconds to wait for an answer.")
]


def parsed(data: str | None) -> Any:
    """Return what `--data` says, wherever it says it."""
    if data is None:
        return None
    try:
        return json.loads(_read(data), parse_constant=_refuse)
    except RecursionError:
        msg = "--data is nested too deeply"
        raise typer.BadParameter(msg) from None
    except json.JSONDecodeError as error:
        msg = f"--data is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise typer.BadParameter(msg) from None
    except ValueError as error:
        msg = f"--data is not JSON: {error}"
        raise typer.BadParameter(msg) from None


def _read(data: str) -> str | bytes:
    if data != "-" and not data.startswith("@"):
        return data
    try:
        path = None if data == "-" else Path(data[1:])
        if path is not None and path.is_file():
            return path.read_bytes()
        with _waited_for(data):  # a pipe, or what is typed: it ends when its writer says so
            return sys.stdin.buffer.read() if path is None else path.read_bytes()
    except OSError as error:
        msg = f"--data {data}: the file cannot be read: {error.strerror}"
        raise typer.BadParameter(msg) from None


@contextmanager
def _waited_for(data: str) -> Iterator[None]:
    """Say on a terminal what is waited for, if that takes a while."""
    note = f"waiting for --data {data}: whoever writes it must end it, as Ctrl-D does at a terminal"
    timer = threading.Timer(PATIENCE_SECONDS, say, (note,))
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _refuse(constant: str) -> Any:
    msg = f"{constant} is not a JSON value"
    raise ValueError(msg)
