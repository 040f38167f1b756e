"""Tables: styled on a terminal, aligned words in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[str] = ()
) -> None:
    """Print *rows* below *head*; *styles* are rich's, a column each, for a terminal only."""
    rows = list(rows)
    if sys.stdout.isatty():
        _print_styled(head, rows, styles or [""] * len(head))
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _print_styled(
    head: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[str]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # as texts: an address or a docstring may hold brackets, which rich would take for markup
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    Console().print(table)
