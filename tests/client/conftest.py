"""What the functions of `kit` use, for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from kit.client.choice import resolve
from kit.client.default import Default, use
from kit.client.provider import Provider
from kit.project.catalog import Catalog
from kit.project.config import Config, load

Using = Callable[..., AbstractAsyncContextManager[Default]]


@pytest.fixture
def using() -> Using:
    """Have the functions of `kit` use a project, or a provider of its settings, and close it."""
    return _using


@asynccontextmanager
async def _using(
    root: Path,
    environ: Mapping[str, str] | None = None,
    make: Callable[[Config], Provider] | None = None,
) -> AsyncIterator[Default]:
    config = load(root, environ=environ or {})
    catalog = Catalog.of(config)
    chosen = Default(make(config) if make else resolve(config, catalog), catalog)
    use(chosen)
    try:
        yield chosen
    finally:
        use(None)
        await chosen.provider.close()
