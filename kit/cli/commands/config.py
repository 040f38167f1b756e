"""`kit config`: every setting, and where it came from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.screen.terminal import print_json

if TYPE_CHECKING:
    from kit.project.config import Config

_HIDDEN = "set (hidden)"


def config(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Show every setting, its value, and where it came from."""
    from kit.project.config import load

    found = load()
    if as_json:
        print_json(_to_json(found))
    else:
        _print(found)


def _settings(config: Config) -> dict[str, tuple[Any, str]]:
    """Return each setting, as files spell it, with its value and origin; the key is masked."""
    from kit.project.files import camel_case
    from kit.project.settings import FIELDS

    if config.workflow is None:
        return {"workflow": (False, str(config.origins["workflow"]))}
    values = {name: getattr(config.workflow, name) for name in FIELDS}
    values |= {"provider": config.provider, "api_key": _HIDDEN if config.api_key else None}
    return {camel_case(name): (value, str(config.origins[name])) for name, value in values.items()}


def _to_json(config: Config) -> dict[str, Any]:
    hosting = config.hosting
    return {
        "enabled": config.enabled,
        "root": str(config.root),
        "file": config.file and config.file.name,
        "hosting": {
            "isNetlify": hosting.is_netlify,
            "reason": hosting.reason,
            "context": hosting.context,
        },
        "settings": {
            name: {"value": value, "origin": origin}
            for name, (value, origin) in _settings(config).items()
        },
    }


def _rows(config: Config) -> list[tuple[str, str, str]]:
    found = _settings(config).items()
    rows = [(name, _plain(value), origin) for name, (value, origin) in found]
    hosting = "Netlify" if config.hosting.is_netlify else "not Netlify"
    if config.hosting.context:
        hosting += f", context {config.hosting.context}"
    file = str(config.file) if config.file else "none found"
    return [*rows, ("hosting", hosting, config.hosting.reason), ("file", file, "")]


def _plain(value: object) -> str:
    if value is None:
        return "not set"
    return "false" if value is False else str(value)


def _print(config: Config) -> None:
    rows = [("SETTING", "VALUE", "FROM"), *_rows(config)]
    if sys.stdout.isatty():
        _print_table(rows)
        return
    name, value = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        sys.stdout.write(f"{row[0]:{name}}  {row[1]:{value}}  {row[2]}".rstrip() + "\n")


def _print_table(rows: list[tuple[str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head, *body = rows
    table = Table(*head, box=None, pad_edge=False)
    for name, value, origin in body:
        # as texts: an address may hold brackets, which rich would take for markup
        table.add_row(Text(name), Text(value, "bold"), Text(origin, "dim"))
    Console().print(table)
