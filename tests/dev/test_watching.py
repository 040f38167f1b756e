"""What is noticed of what is saved."""

import asyncio
from pathlib import Path

import pytest

from kit.dev.watching import folders_of, matters, saved

from .conftest import Write


@pytest.mark.parametrize(
    ("path", "does"),
    [
        ("functions/workflows/a.py", True),
        ("kit.yaml", True),
        (".env", True),
        ("netlify.toml", True),
        ("lib", True),
        ("sub/kit.yaml", False),
        ("a.txt", False),
        (".venv/lib/a.py", False),
        ("node_modules/x/a.py", False),
        ("a/__pycache__/b.py", False),
        (".kit", False),
        ("node_modules", False),
    ],
)
def test_sources_and_settings_matter(root: Path, path: str, does: bool) -> None:
    assert matters(root / path, root) is does


def test_folders_of_packages_are_not_watched(root: Path, write: Write) -> None:
    for path in ("lib/deep/a.py", "node_modules/x/a.py", ".venv/a.py", "web/node_modules/y/a.py"):
        write(path, "")
    found = {folder.relative_to(root).as_posix() for folder in folders_of(root)}
    assert found == {".", "functions", "functions/workflows", "lib", "lib/deep", "web"}


async def test_what_is_saved_is_told_also_in_folders_that_are_new(root: Path, write: Write) -> None:
    stop = asyncio.Event()
    watch = saved(root, stop)
    seen: set[Path] = set()

    async def see() -> None:
        async for files in watch:
            seen.update(files)

    seeing = asyncio.create_task(see())
    wanted = set[Path]()
    try:
        async with asyncio.timeout(20):
            while not seen:  # it takes a moment until anything is watched
                wanted.add(write("functions/workflows/a.py", "x"))
                await asyncio.sleep(0.1)
            wanted.add(write("new/deep/b.py", "x"))
            while not wanted <= seen:
                await asyncio.sleep(0.05)
            wanted.add(write("new/deep/c.py", "x"))
            while not wanted <= seen:
                write("new/deep/c.py", "y")
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await seeing
