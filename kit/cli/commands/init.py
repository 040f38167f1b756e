"""`kit init`: a new project that runs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.screen.terminal import print_json, print_line, say


def init(
    directory: Annotated[
        Path | None,
        typer.Argument(help="Where to; it need not exist. `.` is here.", show_default=False),
    ] = None,
    name: str | None = typer.Option(None, "--name", help="The project's name."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Write a new project that runs: one workflow, its test, the settings."""
    from kit.project.scaffold import init as write

    if directory is None:
        msg = (
            "name the folder to write into: kit init my-project; `kit init .` writes into this one"
        )
        raise typer.BadParameter(msg)
    root = Path(os.path.realpath(directory))
    written = [file.relative_to(root).as_posix() for file in write(root, name=name)]
    if as_json:
        print_json({"directory": str(root), "files": written})
        return
    for path in written:
        print_line(str(directory / path))
    say("\nNext:")
    if root != Path(os.path.realpath(Path.cwd())):
        say(f"  cd {shlex.quote(str(directory))}")
    say("""  kit run publish-draft --data '{"title": "Ship weekly digest"}'""")
    say("  pytest")
