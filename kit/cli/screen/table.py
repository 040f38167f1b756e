"""Tables: styled on a terminal, aligned words in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from kit.model.printable import printable

Style: TypeAlias = "str | Callable[[str], str]"
"""How rich is to show a column's cells: in a style of its own, or one that depends on the text."""

_COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "sleeping": "blue"}


def status_style(text: str) -> str:
    """Return the style of a text that begins with a run's status."""
    return _COLOURS.get(text.split(",")[0], "")


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[Style] = ()
) -> None:
    """Print *rows* below *head*; *styles*, one a column, are for a terminal only."""
    rows = [tuple(map(printable, row)) for row in rows]
    if sys.stdout.isatty():
        _print_styled(head, rows, styles or [""] * len(head))
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _print_styled(
    head: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[Style]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        pairs = zip(row, styles, strict=True)
        named = [(cell, style(cell) if callable(style) else style) for cell, style in pairs]
        # as texts: an address or a docstring may hold brackets, which rich would take for markup
        first, *rest = (Text(cell, style) for cell, style in named)
        first.no_wrap = True
        table.add_row(first, *rest)
    Console().print(table)
