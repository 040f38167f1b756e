"""Continuing every run that an ended process left unfinished."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import typer

from kit.cli.hints import kept_here
from kit.cli.reading import asleep_in
from kit.cli.screen.terminal import print_json, say
from kit.model.run import RunStatus

if TYPE_CHECKING:
    from kit.engine.engine import Engine
    from kit.model.run import Run
    from kit.store.sqlite.reader import Reader

_AT_ONCE = 100
"""Runs that are waited for together; all are driven meanwhile."""


def resume_all(reader: Reader, *, fast: bool, as_json: bool) -> None:
    """
    Continue every unfinished run to its end, and what those start; say what came of them.

    Raises:
        Exit: With 1 if one of them did not complete.
    """
    from kit.cli.project import Project
    from kit.cli.screen.story import Story

    left = reader.count_unfinished()
    if not left.whole:
        if as_json:
            print_json([])
        count = "1 run is" if left.damaged == 1 else f"{left.damaged} runs are"
        said = f"{count} damaged and left as before; `{kept_here()}` shows that as unknown"
        say(said if left.damaged else "nothing is unfinished")
        return
    before = reader.unfinished_ids()
    project, story = Project(), Story(fast=fast, asleep=partial(asleep_in, reader))
    project.note_errors()

    async def act(engine: Engine) -> None:
        await _until_all_ended(engine, reader)

    try:
        project.drive(act, story, fast=fast, resume="all")
    except KeyboardInterrupt:
        raise project.leave() from None
    runs = map(reader.find, dict.fromkeys((*before, *sorted(story.ids))))
    ended = [run for run in runs if run is not None and run.status.is_final]
    _report(reader, ended, as_json=as_json)


async def _until_all_ended(engine: Engine, reader: Reader) -> None:
    """Wait for every run the engine can continue, and for those begun meanwhile."""
    import asyncio

    left_alone = set[str]()
    while True:
        await engine.idle()
        ids = _next(reader, left_alone)
        if not ids:
            return
        outcomes = await asyncio.gather(*map(engine.wait, ids), return_exceptions=True)
        for run_id, outcome in zip(ids, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                _check_alone(outcome)
                left_alone.add(run_id)


def _next(reader: Reader, left_alone: Collection[str]) -> list[str]:
    """Return some of the unfinished runs, those that go on first."""
    after, found = None, list[str]()
    while not found and (page := reader.page(after, _AT_ONCE)):
        after = page[-1].due, page[-1].run_id
        whole = (each.run_id for each in page if each.left is not None)
        found = [run_id for run_id in whole if run_id not in left_alone]
    return found


def _check_alone(error: BaseException) -> None:
    """Raise *error*, unless it is about the one run only that was waited for."""
    from kit.model.errors import RunNotFoundError, StoreError, WorkflowNotFoundError
    from kit.store.sqlite.rows import DAMAGED

    is_damage = isinstance(error, StoreError) and error.code == DAMAGED
    if not is_damage and not isinstance(error, RunNotFoundError | WorkflowNotFoundError):
        raise error


def _report(reader: Reader, ended: Sequence[Run], *, as_json: bool) -> None:
    from kit.cli.screen.ending import run_json

    if as_json:
        print_json([run_json(reader, run) for run in ended])
    _say_what_is_left(reader.unfinished())
    counts = {status: sum(run.status is status for run in ended) for status in RunStatus}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(said or "nothing could be continued")
    if any(run.status is not RunStatus.COMPLETED for run in ended):
        failed = kept_here("--status failed")
        say(f"`{kept_here('show ID')}` says why; `{failed}` lists what gave up")
        raise typer.Exit(1)


def _say_what_is_left(left: Collection[Run]) -> None:
    names = sorted({run.workflow for run in left})
    if names:
        count = "1 run is" if len(left) == 1 else f"{len(left)} runs are"
        say(f"note: {count} left as before; no workflow here is called {', '.join(names)}")
