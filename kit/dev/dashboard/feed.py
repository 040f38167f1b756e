"""
What keeps an open page up to date: its regions, as server-sent events, whenever they have changed.

However much happens, a page is drawn a few times a second at most, and rests nine times as long as
drawing it took; a region that looks as before is not sent. Whoever reads slowly is sent less. All
that has changed since the last drawing is one event, so that no reader ever sees a header of one
moment above values of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from kit.dev.dashboard.render import Renderer, readable
from kit.dev.dashboard.screens import Screen, Screens
from kit.dev.feed import merged
from kit.dev.runs import Change
from kit.model.errors import WorkflowError

GAP = 0.25
"""Seconds between two drawings, at least."""

_REST = 9
"""How many times as long as drawing took it rests after it."""

_TICK = 1.0
"""Seconds after which a page is drawn again on which time itself is drawn."""

_SILENCE = 15.0
"""Seconds of silence after which a comment is sent, so that a broken connection is noticed."""

_RECONNECT = 1_000
"""Milliseconds after which a browser that has lost the connection tries again."""

_PATIENCE = 120.0
"""Seconds for which a page waits for what is not there yet, such as a run that was just started."""

_NOT_FOUND = 404


async def feed(
    screens: Screens,
    renderer: Renderer,
    address: str,
    *,
    is_awaited: bool = False,
    is_look: bool = False,
) -> AsyncIterator[str]:
    """
    Yield the events that keep the page at *address*, a path and a query as in a URL, up to date.

    `hello` says which server this is, `regions` brings the new texts of regions, `trouble` says why
    there are none, and `well` that there are again. It ends when what the page shows is gone, or
    the source of changes ends; if the page *is awaited*, because it could not be shown, not so
    soon; and if it only takes a *look*, at once.
    """
    yield f"retry: {_RECONNECT}\n" + event("hello", {"instance": renderer.instance})
    page = _Page(renderer, is_awaited=is_awaited)
    async with _News(screens.runs.changes()) as news:
        while True:
            began = time.perf_counter()
            drawn = await _drawn(screens, address)
            for text in page.events(drawn):
                yield text
            if page.is_over or is_look:
                return
            await news.rest(max(GAP, _REST * (time.perf_counter() - began)))
            async for is_silent in news.until_due(drawn):
                if is_silent:
                    yield ": still here\n\n"
            if news.is_over:
                return


def _concerns(drawn: Screen | WorkflowError, change: Change) -> bool:
    return not isinstance(drawn, Screen) or drawn.concerns(change)


def event(name: str, data: Any) -> str:
    """Return a server-sent event; its data is one line of JSON."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _drawn(screens: Screens, address: str) -> Screen | WorkflowError:
    path, _, query = address.partition("?")
    try:
        screen = await screens.of(unquote(path), dict(parse_qsl(query)))
    except WorkflowError as error:
        return error
    except ValueError:  # a cursor from elsewhere
        screen = None
    return screen or WorkflowError(f"no page {path!r}", http_status=_NOT_FOUND)


class _Page:
    """An open page: how its regions looked last, and whether there is anything to show."""

    def __init__(self, renderer: Renderer, *, is_awaited: bool) -> None:
        self.is_over = False
        self._renderer = renderer
        self._seen: dict[str, int] = {}
        self._is_well = not is_awaited
        self._until = time.perf_counter() + (_PATIENCE if is_awaited else 0)

    def events(self, drawn: Screen | WorkflowError) -> Iterator[str]:
        """Yield what the page is to be told: the regions that look different, or what is wrong."""
        if isinstance(drawn, WorkflowError):
            self._is_well = False
            is_missing = drawn.http_status == _NOT_FOUND
            self.is_over = is_missing and time.perf_counter() >= self._until
            yield event("trouble", {"message": readable(drawn.message), "isOver": self.is_over})
            return
        if not self._is_well:
            self._is_well = True
            yield event("well", {})
        changed = list(self._changed(drawn))
        if changed:
            yield event("regions", changed)

    def _changed(self, drawn: Screen) -> Iterator[dict[str, str]]:
        for region in drawn.regions:
            html = self._renderer.text(f"regions/{region}.html", drawn.values)
            if self._seen.get(region) != hash(html):
                self._seen[region] = hash(html)
                yield {"id": region, "html": html}


class _News:
    """Waits for changes, one at a time, without losing any when it stops waiting."""

    def __init__(self, changes: AsyncIterator[Change]) -> None:
        self._changes = changes
        self._next: asyncio.Future[Change | None] | None = None
        self._gathered: Change | None = None
        self.is_over = False

    async def __aenter__(self) -> Self:
        self._begin()  # what changes while the page is drawn for the first time is news
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._next is not None:
            self._next.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._next

    async def rest(self, seconds: float) -> None:
        """Gather what changes meanwhile; return early if there will be no more news."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            waited = self._begin()
            if not (await asyncio.wait({waited}, timeout=left))[0]:
                return
            self._next = None
            change = waited.result()
            if change is None:
                self.is_over = True
                return
            self._gathered = merged(self._gathered or Change(), change)

    async def until_due(self, drawn: Screen | WorkflowError) -> AsyncIterator[bool]:
        """Return when *drawn* is to be drawn again; yield True after each long silence."""
        moves = isinstance(drawn, Screen) and drawn.is_moving
        gathered, self._gathered = self._gathered, None
        if gathered is not None and _concerns(drawn, gathered):
            return
        while not self.is_over:
            waited = self._begin()
            done, _ = await asyncio.wait({waited}, timeout=_TICK if moves else _SILENCE)
            if not done:
                if moves:
                    return
                yield True
                continue
            self._next = None
            change = waited.result()
            self.is_over = change is None
            if change is None or _concerns(drawn, change):
                return

    def _begin(self) -> asyncio.Future[Change | None]:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._changes, None))
        return self._next
