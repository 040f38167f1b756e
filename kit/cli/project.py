"""The project a command works in: settings, workflows, runs; and an engine over them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import typer

from kit.cli.reading import asleep_in, open_reader
from kit.cli.screen.terminal import say
from kit.cli.status import INTERRUPTED
from kit.model.printable import printable

if TYPE_CHECKING:
    from kit.cli.screen.story import Story
    from kit.engine.engine import Engine
    from kit.model.run import Run
    from kit.model.workflow import AnyWorkflow
    from kit.project.config import Config

T = TypeVar("T")


class Project:
    """The project of the current folder, with its workflows; files that are wrong are named."""

    def __init__(self) -> None:
        from kit.project.catalog import Catalog
        from kit.project.config import load

        self.config: Config = load()
        self.config.get_workflow()
        self.catalog = Catalog.of(self.config)
        # what a workflow file prints while it is imported is no result of ours
        with contextlib.redirect_stdout(sys.stderr):
            self.catalog.names()

    @property
    def path(self) -> Path:
        """The file that keeps the runs."""
        return self.config.path

    def get(self, name: str) -> AnyWorkflow:
        """
        Return the workflow called *name*; say which files are wrong, if others are.

        Raises:
            DiscoveryError: If the file that should define it is wrong.
            WorkflowNotFoundError: If there is none; it lists the known names and the nearest one.
        """
        workflow = self.catalog.get(name)
        self.note_errors()
        return workflow

    def note_errors(self) -> None:
        """Say which workflow files are wrong, in one line."""
        paths = [error.path for error in self.catalog.errors]
        if paths:
            say(f"note: left out, as `kit list` explains: {', '.join(paths)}")

    def drive(
        self,
        act: Callable[[Engine], Awaitable[T]],
        story: Story,
        *,
        fast: bool,
        resume: Literal["all"] | Collection[str] = (),
    ) -> T:
        """
        Do *act* with an engine on the project's runs, showing *story* meanwhile.

        Raises:
            StoreInUseError: If another process runs an engine on them.
            KeyboardInterrupt: On Ctrl-C, after the engine has been closed.
        """
        from kit.cli.screen.live import display_of
        from kit.engine.engine import Engine
        from kit.engine.retention import milliseconds

        display, settings = display_of(story), self.config.get_workflow()

        async def acted() -> T:
            async with Engine(
                self.path,
                self.catalog.find,
                durability=settings.durability,
                replay=settings.replay,
                concurrency=settings.concurrency,
                retention=milliseconds(settings.retention),
                fast=fast,
                resume=resume,
                observe=display,
                follow=True,
            ) as engine:
                with display, workflow_logs():
                    return await act(engine)

        return asyncio.run(acted())

    def see_through(
        self,
        begin: Callable[[Engine], Awaitable[Any]],
        run_id: str,
        *,
        fast: bool,
        resume: Collection[str] = (),
    ) -> Run:
        """
        Drive the run that *begin* starts to its end, and what else is due then; return it.

        What sleeps on is named. Ctrl-C keeps the run, says how to go on, and ends the command.
        """
        from kit.cli.screen.story import Story

        reader = open_reader(self.path)
        story = Story(run_id, fast=fast, asleep=partial(asleep_in, reader))

        async def act(engine: Engine) -> Run:
            await begin(engine)
            ended: Run = await engine.wait(run_id)
            await engine.idle()
            return ended

        try:
            run = self.drive(act, story, fast=fast, resume=resume)
        except KeyboardInterrupt:
            raise self.leave(run_id) from None
        self._note_unfinished(story.ids)
        return run

    def leave(self, run_id: str | None = None) -> typer.Exit:
        """Say that what was interrupted is kept, and how to continue it; return how to exit."""
        what = f"run {run_id} is" if run_id else "unfinished runs are"
        if run_id is None or open_reader(self.path).find(run_id) is not None:
            say(f"Interrupted: {what} kept. Continue: kit runs resume {run_id or ''}".rstrip())
        else:
            say("Interrupted before the run was accepted: nothing has been started.")
        return typer.Exit(INTERRUPTED)

    def _note_unfinished(self, ids: Collection[str]) -> None:
        reader = open_reader(self.path)
        found = [run for run in map(reader.find, ids) if run and not run.status.is_final]
        if found:
            count = (
                "1 run it started waits"
                if len(found) == 1
                else f"{len(found)} runs it started wait"
            )
            say(f"note: {count} for a later moment; `kit runs resume` continues what waits")


class _Printable(logging.Formatter):
    """Formats records of which nothing acts on a terminal: they tell of events, which are input."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n\t")


@contextlib.contextmanager
def workflow_logs() -> Iterator[None]:
    """Show on standard error what workflows log from INFO up, unless logging is set up already."""
    root, workflows = logging.getLogger(), logging.getLogger("kit.workflow")
    if root.handlers:
        yield
        return
    handler = logging.StreamHandler()  # made here: a live display has put its own stderr in place
    handler.setFormatter(_Printable("%(levelname)s %(message)s"))
    handler.setLevel(logging.INFO)  # whatever else listens to more
    before = workflows.level
    workflows.setLevel(logging.INFO)
    workflows.addHandler(handler)
    try:
        yield
    finally:
        workflows.removeHandler(handler)
        workflows.setLevel(before)
