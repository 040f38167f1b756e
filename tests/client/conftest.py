"""What the functions of `kit` use, for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kit import Context, define_workflow
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


FILE = """
from kit import Context, define_workflow

@define_workflow
async def shout(input: str, context: Context) -> str:
    return await context.step.run("shout", lambda: input.upper())
"""


@pytest.fixture
async def project(tmp_path: Path, using: Using) -> AsyncIterator[Path]:
    """A project with one workflow, which the functions of `kit` use."""
    folder = tmp_path / "functions" / "workflows"
    folder.mkdir(parents=True)
    (folder / "shout_it.py").write_text(FILE)
    (tmp_path / "kit.yaml").write_text("workflow:\n  durability: normal\n")
    async with using(tmp_path):
        yield tmp_path


@define_workflow
async def echo(input: dict[str, Any], context: Context) -> dict[str, Any]:
    return {"data": input, "provider": context.provider, "id": context.event_id}
