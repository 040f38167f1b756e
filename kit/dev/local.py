"""`LocalRuns`: the runs of this project's file, and what can be asked of whoever drives them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

from kit.dev.driving import Driving
from kit.dev.feed import Feed
from kit.dev.logs import LogHandler, kept
from kit.dev.runs import (
    Capabilities,
    Change,
    Details,
    Page,
    Source,
    Summary,
    WorkflowInfo,
)
from kit.dev.underway import Underway
from kit.dev.workflows import LiveWorkflows
from kit.model.annotations import encode_input
from kit.model.errors import StoreError
from kit.model.event import Event, derived_id
from kit.model.progress import Progress
from kit.model.run import RunStatus
from kit.project.settings import WorkflowConfig
from kit.store.sqlite.listing import Listed, Listing, Wanted

WATCH_SECONDS = 0.5
"""How often the file is looked at for what other processes have written: one number of SQLite's."""

_ALL = Capabilities()
_ELSEWHERE = Capabilities(
    logs=False, reasons={"logs": "another process drives the runs, and its log is there"}
)


class LocalRuns:
    """
    The runs of the file at *path*, with the workflows at hand; an async context manager.

    *tell* is told when nothing can be stored, and when it can be again. A file that was deleted, or
    replaced, is opened anew.

    Raises (on entering):
        StoreError: If the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        workflows: LiveWorkflows,
        settings: WorkflowConfig,
        *,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.live = workflows
        self._tell = tell
        self.feed = Feed()
        self._path = path
        self._settings = settings
        self.driving = self._driving()
        self._listing = Listing(path)
        self._logs = LogHandler(self._logged)
        self._underway = Underway()
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            self._loop = asyncio.get_running_loop()
            exits.callback(lambda: self._listing.close())
            exits.callback(self.feed.close)
            exits.enter_context(kept(self._logs))
            await self.driving.__aenter__()
            exits.push_async_exit(self._leave)
            watching = asyncio.create_task(self._watch())
            exits.push_async_callback(_ended, watching)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._exits.aclose()

    @property
    def capabilities(self) -> Capabilities:
        """What can be done here, now: everything; but only who drives a run hears its log."""
        return _ALL if self.driving.other is None else _ELSEWHERE

    @property
    def source(self) -> Source:
        """Where the runs are, now."""
        trouble = self.driving.trouble
        said = None if trouble is None else trouble.message
        return Source("local", str(self._path), self.driving.other, said)

    async def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return runs, newest first; see `Runs.page`."""
        wanted = Wanted(workflow, tuple(statuses), text)
        return await asyncio.to_thread(self._page, wanted, _after(cursor), limit)

    async def listed(self, wanted: Wanted, limit: int) -> tuple[list[Listed], int | None]:
        """
        Return runs, newest first, and the moment before which the next page begins.

        What was created in one millisecond stays on one page, which may be longer for it.
        """
        return await asyncio.to_thread(self._whole_moments, wanted, limit)

    async def details(self, run_id: str) -> Details | None:
        """Return all that is known of a run, or None."""
        found = await self.driving.details(run_id)
        if found is None:
            return None
        done = {each.step_id for each in found.checkpoints}
        return Details(
            found.run,
            found.checkpoints,
            found.attempts,
            self._logs.of(run_id),
            tuple(step for step in self._underway.begun(run_id) if step.step_id not in done),
            self._underway.given(run_id),
        )

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        """Start a workflow and return its run's id; see `Runs.start`."""
        found = self.live.get(workflow)
        name = found.event_name
        event_id = derived_id("run", name.lower(), id) if id else str(uuid.uuid4())
        encoded = encode_input(found, data)
        event = Event(name, encoded.data, event_id, text=encoded.text)
        run, _ = await self.driving.submit(event, key=id)
        return run.id

    async def stop(self, run_id: str) -> bool:
        """End a run; see `Runs.stop`."""
        return await self.driving.stop(run_id)

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """Run an ended run again; see `Runs.retry`."""
        return await self.driving.retry(run_id, from_start=from_start)

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; see `Runs.delete`."""
        deleted = await self.driving.delete(run_id)
        self._underway.forget(run_id)
        self.feed.tell(run_id)
        return deleted

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return the workflows; see `Runs.workflows`."""
        return self.live.infos()

    def changes(self) -> AsyncIterator[Change]:
        """Yield what changes from now on; see `Runs.changes`."""
        return self.feed.changes()

    async def move(self, path: Path, settings: WorkflowConfig) -> None:
        """
        Take the runs of another file, or the same under other settings, from now on.

        Raises:
            StoreError: If the file cannot be used; then there are no runs until it is another one.
        """
        if (path, settings) == (self._path, self._settings):
            return
        self._path, self._settings = path, settings
        await self._open_anew()

    async def reloaded(self) -> None:
        """Take up workflows that were loaded anew: runs in flight go on with them."""
        await self.driving.reload()
        self.feed.tell_of(Change(workflows=True))

    async def _take_up(self) -> None:
        """Open the file that has taken the other's place, or make one; tried again if it fails."""
        if self.driving.is_open:
            self._tell(f"{self._path} was deleted or replaced: what is there now is taken up")
        with suppress(StoreError):
            await self._open_anew()

    async def _open_anew(self) -> None:
        await self.driving.__aexit__(None, None, None)
        self._listing.close()
        self._listing = Listing(self._path)
        self.driving = self._driving()
        try:
            await self.driving.__aenter__()
        finally:
            self._source_changed()

    def _page(self, wanted: Wanted, after: tuple[int, str] | None, limit: int) -> Page:
        found = self._listing.page(wanted, after=after, limit=limit + 1)
        # counting reads every row a text might be in: that is not cheap
        total = None if wanted.text else self._listing.count(wanted)
        shown = found[:limit]
        more = f"{shown[-1].created}.{shown[-1].id}" if len(found) > limit else None
        return Page(tuple(map(_summary, shown)), more, total)

    def _whole_moments(self, wanted: Wanted, limit: int) -> tuple[list[Listed], int | None]:
        found = self._listing.page(wanted, limit=limit)
        while len(found) >= limit:
            last = found[-1]
            more = self._listing.page(wanted, after=(last.created, last.id), limit=1)
            if not more:
                break
            if more[0].created != last.created:
                return found, last.created
            found += more
        return found, None

    def _driving(self) -> Driving:
        return Driving(self._path, self.live, self._settings, self._progressed)

    async def _leave(self, *error: object) -> None:
        await self.driving.__aexit__(*error)  # the present one: it may have changed

    def _progressed(self, progress: Progress) -> None:
        self._underway.note(progress)
        self.feed.tell(progress.run_id)

    def _source_changed(self) -> None:
        self.feed.tell_of(Change(is_everything=True, source=True))

    def _logged(self, run_id: str) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody watches any more
            self._loop.call_soon_threadsafe(self.feed.tell, run_id)

    async def _watch(self) -> None:
        """Tell of what other processes do; what is executed here is told of at once."""
        seen, source = 0, self.source
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.driving.is_lost:
                await self._take_up()
            before, source = source, self.source
            if source != before:
                self._tell_of_trouble(before.trouble, source.trouble)
                self._source_changed()
            if self.feed.has_watchers:
                with suppress(StoreError):
                    version = await asyncio.to_thread(self._listing.version)
                    if version != seen:
                        self.feed.tell_of(Change(is_everything=True))
                    seen = version

    def _tell_of_trouble(self, before: str | None, now: str | None) -> None:
        if now is not None and now != before:
            self._tell(f"error: {now}")
        elif now is None and before is not None:
            self._tell(f"{self._path} can be used again; what it holds goes on")


def _after(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    created, dot, run_id = cursor.partition(".")
    if not (dot and created.isascii() and created.isdigit() and len(created) < 16):
        msg = f"{cursor[:100]!r} is no cursor that a page gave"
        raise ValueError(msg)
    return int(created), run_id


def _summary(row: Listed) -> Summary:
    waits = row.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return Summary(
        id=row.id,
        workflow=row.workflow,
        status=row.status,
        created=row.created,
        started=row.started,
        ended=row.ended,
        due=row.due if waits else None,
        attempt=row.attempt,
        priority=row.priority,
        preview=row.preview,
        error=row.error,
        key=row.key,
    )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
