"""What is noticed of what is saved."""

import asyncio
from pathlib import Path

import pytest

from kit.dev import watching as watching_module
from kit.dev.watching import Watching, folders_of, matters

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


async def test_nothing_that_is_saved_is_missed_also_in_folders_that_are_new(
    root: Path, write: Write, told: list[str]
) -> None:
    async with asyncio.timeout(50), Watching(root, told.append) as watching:
        seen: set[Path] = set()
        for path in ("functions/workflows/a.py", "new/deep/b.py", "new/deep/c.py", ".env"):
            file = write(path, "x")
            while file not in seen:
                seen |= await watching.saved.get()
        (root / "new/deep/c.py").unlink()
        seen.clear()
        while root / "new/deep/c.py" not in seen:
            seen |= await watching.saved.get()
    assert told == []


async def test_what_cannot_be_watched_is_told_of(
    root: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "no more watches")

    monkeypatch.setattr(watching_module, "awatch", refuse)
    async with Watching(root, told.append):
        pass
    assert "no more watches" in told[0]
