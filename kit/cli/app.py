"""
The command `kit`: every command in one list, and what they share.

Exit status: 0 done, 1 failed, 2 used wrongly. Results go to standard output, everything else
(progress, warnings, errors) to standard error. A command's module is imported when it is called
or listed, and itself imports what is heavy inside its functions: what one command needs, another
does not pay for.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import typer

from kit import __version__
from kit.cli.arguments import check_encoding, hide_key
from kit.cli.loading import group_of
from kit.cli.reading import readers
from kit.cli.screen.terminal import leave_output, prepare, print_json, report, say
from kit.cli.status import INTERRUPTED
from kit.model.errors import (
    ArgumentError,
    RunNotFoundError,
    WorkflowError,
    WorkflowNotFoundError,
)

app = typer.Typer(
    name="kit",
    cls=group_of(
        {
            "config": "kit.cli.commands.config:config",
            "schema": "kit.cli.commands.schema:schema",
            "init": "kit.cli.commands.init:init",
            "list": "kit.cli.commands.list:list_workflows",
            "run": "kit.cli.commands.run:run",
            "send": "kit.cli.commands.send:send",
            "dev": "kit.cli.commands.dev:dev",
            "build": "kit.cli.commands.build:build",
            "doctor": "kit.cli.commands.doctor:doctor",
            "runs": "kit.cli.commands.runs.listing:app",
            "events": "kit.cli.commands.events:app",
        }
    ),
    help="Durable Python workflows on Netlify: write, run here, deploy, send.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


# click's own error, wherever it lies: newer versions of typer have a copy of click in them
_WrongUse: Any = typer.BadParameter.__mro__[2]

_USED_WRONGLY = (ArgumentError, WorkflowNotFoundError, RunNotFoundError)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What goes wrong in writing, though the file is there and open."""


def run() -> None:
    """Run `kit`; an error becomes its message, or its JSON form, and exit status 1 or 2."""
    prepare()
    hide_key(sys.argv)
    as_json = any(argument.partition("=")[0] == "--json" for argument in sys.argv)
    try:
        try:
            _run(as_json=as_json)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        leave_output()  # its reader has gone; there is nobody to tell
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        leave_output()
        with suppress(OSError):
            say(f"error: the output cannot be written: {error.strerror}")
        sys.exit(1)


def _run(*, as_json: bool) -> NoReturn:
    """Run `kit`, say what went wrong, and exit."""
    try:
        check_encoding(sys.argv[1:])
        with readers:
            status = app(standalone_mode=False)
    except WorkflowError as error:
        report(error, as_json=as_json)
        sys.exit(2 if isinstance(error, _USED_WRONGLY) else 1)
    except _WrongUse as error:
        _say_use(error, as_json=as_json)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:  # of a stream, or ours
            raise
        found = WorkflowError(f"{_shown(error)}: {error.strerror}", code="FILE_UNUSABLE")
        report(found, as_json=as_json)
        sys.exit(1)
    except typer.Abort:
        if as_json:
            print_json({"error": {"code": "ABORTED", "message": "aborted; nothing was done"}})
        else:
            say("aborted")
        sys.exit(1)
    if status == INTERRUPTED and as_json:
        print_json({"error": {"code": "INTERRUPTED", "message": "interrupted by Ctrl-C"}})
    sys.exit(status if isinstance(status, int) else 0)


def _shown(error: OSError) -> str:
    """Return the file that *error* is about."""
    return os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)


def _say_use(error: Any, *, as_json: bool) -> None:
    """Say how a command was used wrongly."""
    error.message = error.message.removeprefix("Value error, ")  # a parser's word, not ours
    if as_json:
        print_json({"error": {"code": "USED_WRONGLY", "message": error.format_message()}})
        return
    text = io.StringIO()  # first, as what was typed is in it
    error.show(text)
    say(text.getvalue().rstrip())
