"""`kit config`: every setting, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from kit.cli.screen.table import print_table
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
        print_table(("SETTING", "VALUE", "FROM"), _rows(found), ("", "bold", "dim"))


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
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "false" if value is False else str(value)
