"""The dashboard over runs that nobody has run."""

from __future__ import annotations

import functools
import html.parser
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from kit.dev.dashboard.render import Renderer
from kit.dev.dashboard.routes import routes
from tests.dev.dashboard import fake as fake_runs
from tests.dev.dashboard.fake import FakeRuns

TOKEN = "a-token-nobody-guesses"


@pytest.fixture
def fake() -> Any:
    """The module of made-up runs."""
    return fake_runs


@pytest.fixture
def runs() -> FakeRuns:
    """A source with one run of every kind."""
    found = FakeRuns()
    for number, make in enumerate(fake_runs.EVERY, 1):
        found.keep(make(number))
    return found


_make_renderer = functools.cache(Renderer)
"""One for all tests, so that the templates are compiled once."""


@pytest.fixture
async def site(runs: FakeRuns, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the dashboard over `runs`."""
    monkeypatch.setattr("kit.dev.dashboard.routes.Renderer", _make_renderer)
    pages = routes(runs, token=TOKEN, project="newsroom", now=lambda: fake_runs.NOW)
    app = Starlette(routes=[Mount("/_kit", routes=pages)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8888") as client:
        yield client


class _Text(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def read() -> Callable[[str], _Text]:
    """Parse a page: its text as a reader sees it, and its tags."""

    def parse(page: str) -> _Text:
        parser = _Text()
        parser.feed(page)
        return parser

    return parse


Read = Callable[[str], Any]
