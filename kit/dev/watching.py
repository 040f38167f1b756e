"""What is saved in a project: sources, settings, and folders that come and go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from watchfiles import Change, awatch

from kit.dev.reloading import is_ignored
from kit.project.files import YAML_NAMES

SETTINGS = frozenset({*YAML_NAMES, "pyproject.toml", ".env", "netlify.toml"})
"""Files in the root that settings come from."""

STEP_MS = 50
"""How long nothing more may have been saved before what was is told."""

DEBOUNCE_MS = 400


async def saved(root: Path, stop: asyncio.Event) -> AsyncIterator[set[Path]]:
    """
    Yield the files of the project at *root* that were saved, made or removed, until *stop*.

    Each folder is watched for itself, so that those of packages cost nothing.
    """
    is_new = True
    while is_new:
        is_new = False
        folders = list(folders_of(root))
        watch = awatch(
            *folders,
            watch_filter=lambda _, path: matters(Path(path), root),
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=stop,
            recursive=False,
            ignore_permission_denied=True,
        )
        async for found in watch:
            files, new = _sorted_out(found, root)
            if files:
                yield files
            if new:
                is_new = True
                break


def _sorted_out(found: set[tuple[Change, str]], root: Path) -> tuple[set[Path], set[Path]]:
    """Return the files that were saved, and the folders that are new; with what is in these."""
    paths = {Path(path): change for change, path in found}
    new = {each for each, change in paths.items() if change is Change.added and each.is_dir()}
    files = {each for each in paths if each.suffix or each.name in SETTINGS} - new
    inside = {file for folder in new for file in folder.rglob("*.py") if matters(file, root)}
    return files | inside, new


def folders_of(root: Path) -> Iterator[Path]:
    """Yield *root* and the folders below it that may hold the project's own sources."""
    for folder, names, _ in os.walk(root):
        names[:] = [name for name in names if not is_ignored(Path(name, "x"))]
        yield Path(folder)


def matters(path: Path, root: Path) -> bool:
    """Tell whether something that happened to *path* may matter: a source, settings, a folder."""
    if path.parent == root and path.name in SETTINGS:
        return True
    if not path.is_relative_to(root) or is_ignored(path.relative_to(root)):
        return False
    return path.suffix == ".py" or (not path.suffix and not is_ignored(Path(path.name, "x")))
