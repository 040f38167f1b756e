"""
A real browser: Debian's Chromium, driven through Playwright, headless and with no profile.

Where there is no Chromium, these tests are skipped and say so; nothing is ever downloaded.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from kit.dev.dashboard.routes import routes
from kit.dev.ports import listen
from tests.dev.dashboard import fake as fake_runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[3]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""As Debian names it. The first is the same without windows, tabs and menus, which nobody sees here
and which take more than half of its processor time."""

PATIENCE = 120_000
"""Milliseconds to wait for what must happen; a busy machine is given time, a broken page is not."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all here: Playwright's loop must not outlive them, others have theirs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if chromium is None:
        pytest.skip("there is no Chromium here: apt-get install chromium-headless-shell")
    # root may not have a sandbox; the pages are our own
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        playwright.expect.set_options(timeout=PATIENCE)
        opened = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@dataclass
class Window:
    """An open page, and what it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def look(self, theme: str, size: str) -> None:
        """Be seen in another theme and size: to load the page anew would change nothing more."""
        self.page.emulate_media(color_scheme=theme)
        self.page.set_viewport_size(SIZES[size])

    def barriers(self) -> list[str]:
        """Return what axe finds that keeps people out: serious and critical violations."""
        if not AXE.is_file():
            pytest.skip("axe-core is not installed: npm ci")
        if not self.page.evaluate("'axe' in window"):
            # by the debugger, not as a script of the page, whose policy would rightly refuse it
            self.page.evaluate(AXE.read_text(encoding="utf-8") + ";undefined")
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']} ({each['impact']}): {each['nodes'][0]['html']}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


OpenWindow = Callable[..., Window]


@pytest.fixture
def open_window(browser: Browser) -> Iterator[OpenWindow]:
    """Open a window of a theme and size, with a profile of its own."""
    contexts = []

    def open_one(theme: str = "light", size: str = "wide", **options: Any) -> Window:
        context = browser.new_context(viewport=SIZES[size], color_scheme=theme, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return Window(context.new_page())

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def fake() -> Any:
    """The module of made-up runs."""
    return fake_runs


class Server:
    """The dashboard's pages on a loopback port, in a thread."""

    def __init__(self, runs: Any, port: int = 0, token: str = "t") -> None:
        pages = routes(runs, token=token, project="newsroom", now=lambda: fake_runs.NOW)
        app = Starlette(routes=[Mount("/_kit", routes=pages)])
        self.runs = runs
        self._sockets = listen(port)
        self.port: int = self._sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/_kit"
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._thread.start()
        assert self._ready.wait(200)

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._ready.set)
            await self._server.serve(sockets=self._sockets)

        asyncio.run(main())

    def do(self, function: Callable[..., Any], *args: Any) -> None:
        """Call *function* where the server runs."""
        self._loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self.do(self.runs.feed.close)
        self._server.should_exit = True
        self._thread.join(200)
        for each in self._sockets:
            each.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Serve a source of runs, on a port and with a token of its own if they are given."""
    servers: list[Server] = []

    def serve_one(runs: Any, **options: Any) -> Server:
        servers.append(Server(runs, **options))
        return servers[-1]

    yield serve_one
    for each in servers:
        each.close()
