"""
Progress while runs go on: live on a terminal, plain lines in a pipe; on standard error both.

Standard output is kept for results: what workflows print while they run goes to standard error.
"""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from kit.cli.screen.story import Kind, Line, Story
from kit.cli.screen.terminal import say
from kit.cli.screen.times import now
from kit.model.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARKS: dict[Kind, tuple[str, str]] = {
    "run": ("", "bold"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "waits": ("☾", "blue"),
    "note": ("·", "dim"),
    "ended": ("", "bold"),
}
_AT_ONCE = 6
"""Lines of what is open that are shown at once; a terminal is not endless."""


class Display(Protocol):
    """Shows progress while it is entered."""

    def __call__(self, progress: Progress) -> None:
        """Show that something has happened."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, and leave the terminal as it was."""


def display_of(story: Story) -> Display:
    """Return what shows *story* here."""
    return Terminal(story) if sys.stderr.isatty() else Pipe(story)


class Pipe:
    """Plain lines."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._exits = contextlib.ExitStack()

    def __call__(self, progress: Progress) -> None:
        """Print the line there is to it, if any."""
        line = self._story.tell(progress)
        if line is not None:
            say(plain(line))

    def __enter__(self) -> Self:
        self._exits.enter_context(contextlib.redirect_stdout(sys.stderr))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()


class Terminal:
    """Lines with marks and colours, and below them what is going on, with its countdown."""

    def __init__(self, story: Story) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._story = story
        self._exits = contextlib.ExitStack()
        self._console = Console(stderr=True, highlight=False)
        self._spinner = Spinner("dots")
        self._live = Live(
            console=self._console,
            get_renderable=self._open,
            transient=True,
            refresh_per_second=10,
        )

    def __call__(self, progress: Progress) -> None:
        """Print the line there is to it, if any, above what is going on."""
        line = self._story.tell(progress)
        if line is not None:
            self._console.print(_styled(line), soft_wrap=True)

    def __enter__(self) -> Self:
        self._exits.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._exits.enter_context(self._live)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def _open(self) -> RenderableType:
        from rich.text import Text

        lines = list(self._story.open(now()))
        if not lines:
            return Text()
        if len(lines) > _AT_ONCE:
            lines[_AT_ONCE - 1 :] = [f"and {len(lines) - _AT_ONCE + 1} more"]
        text = Text("\n    ".join(lines), style="dim", no_wrap=True, overflow="ellipsis")
        frame = str(self._spinner.render(self._console.get_time()))
        return Text.assemble("  ", (frame, "cyan"), " ", text, no_wrap=True, overflow="ellipsis")


def plain(line: Line) -> str:
    """Return *line* as it stands in a pipe: words only."""
    if line.kind == "run":
        return f"{line.text}: run {line.detail}"
    if line.kind == "done" and not line.detail:
        return f"{line.text}: done"
    between = {"done": ": done, ", "waits": " ", "ended": " ", "failed": "; "}.get(line.kind, ": ")
    return f"{line.text}{between}{line.detail}" if line.detail else line.text


def _styled(line: Line) -> RenderableType:
    from rich.text import Text

    mark, style = _MARKS[line.kind]
    detail = Text(f"  {line.detail}" if line.detail else "", "dim")
    if line.kind == "run":
        return Text.assemble((line.text, style), detail)
    if line.kind == "ended":
        colour = "green" if line.text.endswith("completed") else "red"
        return Text.assemble((line.text, f"bold {colour}"), detail)
    return Text.assemble("  ", (mark, style), f" {line.text}", detail)
