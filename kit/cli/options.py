"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.arguments import KEY_OPTION, given_key

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
    try:
        if data == "-":
            return sys.stdin.buffer.read()
        return Path(data[1:]).read_bytes() if data.startswith("@") else data
    except OSError as error:
        msg = f"--data {data}: the file cannot be read: {error.strerror}"
        raise typer.BadParameter(msg) from None


def _refuse(constant: str) -> Any:
    msg = f"{constant} is not a JSON value"
    raise ValueError(msg)
