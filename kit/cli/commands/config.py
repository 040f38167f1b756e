"""`kit config`: every setting, and where it came from."""

from __future__ import annotations

import typer

from kit.cli.screen.table import print_table
from kit.cli.screen.terminal import print_json


def config(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Show every setting, its value, and where it came from."""
    from kit.cli.screen.settings_view import settings_json, settings_rows
    from kit.project.config import load

    found = load()
    if as_json:
        print_json(settings_json(found))
    else:
        print_table(("SETTING", "VALUE", "FROM"), settings_rows(found), ("", "bold", "dim"))
