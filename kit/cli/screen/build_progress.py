"""What goes on while functions are built: live on a terminal, lines in a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kit.cli.screen.terminal import say

if TYPE_CHECKING:
    from kit.deploy.bundle.options import Observe

_STAGES = {
    "python": "Python",
    "site": "Packages",
    "app": "Project",
    "runtime": "Node's part",
    "workflows": "Workflows",
    "import times": "Import times",
}


@contextlib.contextmanager
def build_progress() -> Iterator[Observe]:
    """Give what shows each stage as it begins and ends."""
    if not sys.stderr.isatty():
        yield _say_outcome
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def show(what: str, outcome: str) -> None:
            if outcome:
                line = Text.assemble(("✓ ", "green"), _STAGES[what], (f"  {outcome}", "dim"))
                console.print(line, soft_wrap=True)
            else:
                status.update(Text(_STAGES[what], "dim"))

        yield show


def _say_outcome(what: str, outcome: str) -> None:
    if outcome:
        say(f"{_STAGES[what]}: {outcome}")
