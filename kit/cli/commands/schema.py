"""`kit schema`: the JSON Schemas, printed, written to files, or compared with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.screen.terminal import print_json, print_line, say

if TYPE_CHECKING:
    from kit.project.schemas import Schema


def schema(
    name: Annotated[
        str | None, typer.Argument(help="config, event, run, or the name of a workflow.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the files in schemas/.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Fail if a file in schemas/ is not up to date, or the one that is named missing.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say in JSON what was written or has drifted.")
    ] = False,
) -> None:
    """Print a JSON Schema: of kit.yaml, of an event, of a run, or of a workflow's input."""
    from kit.project.schemas import SCHEMAS, text_of

    if write or check:
        if write and check:
            raise typer.BadParameter("--write and --check exclude each other")  # noqa: EM101
        if name is not None and name not in SCHEMAS:
            msg = f"{name!r} is not kept as a file; only {', '.join(SCHEMAS)} are"
            raise typer.BadParameter(msg)
        names = list(SCHEMAS) if name is None else [name]
        if write:
            _write(names, as_json)
        else:
            _check(names, as_json, is_named=name is not None)
    elif name is None:
        msg = f"name one of {', '.join(SCHEMAS)} or a workflow; or use --write or --check"
        raise typer.BadParameter(msg)
    else:
        print_line(text_of(SCHEMAS[name]() if name in SCHEMAS else _input(name)).rstrip())


def _input(name: str) -> Schema:
    from kit.project.catalog import Catalog
    from kit.project.config import load
    from kit.project.schemas import input_schema

    return input_schema(Catalog.of(load()).get(name))


def _write(names: list[str], as_json: bool) -> None:
    from kit.project.schemas import write

    root = _root()
    _tell({"written": [_path(name) for name in names if write(root, name)]}, as_json)


def _check(names: list[str], as_json: bool, *, is_named: bool) -> None:
    """Compare what is there with what it is to be; what is named, and one at least, must be."""
    from kit.project.schemas import has_drifted, is_there

    root = _root()
    there = [name for name in names if is_there(root, name)]
    missing = [_path(name) for name in names if name not in there] if not there or is_named else []
    drifted = [_path(name) for name in there if has_drifted(root, name)]
    _tell({"drifted": drifted, **({"missing": missing} if missing else {})}, as_json)
    if drifted or missing:
        if not as_json:
            say("error: run `kit schema --write` and commit what it changes")
        raise typer.Exit(1)


def _root() -> Path:
    from kit.project.files import find_root

    return find_root(Path.cwd())[0]


def _path(name: str) -> str:
    from kit.project.schemas import FOLDER, file_name

    return f"{FOLDER}/{file_name(name)}"


def _tell(found: dict[str, list[str]], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for verb, paths in found.items():
        for path in paths:
            say(f"{path}: {verb}")
    if not any(found.values()):
        say("every schema is up to date")
