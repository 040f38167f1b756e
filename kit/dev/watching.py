"""What is saved in a project: sources, settings, and folders that come and go."""

from __future__ import annotations

import asyncio
import os
import sysconfig
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Self

from watchfiles import Change, awatch

from kit.dev.reloading import is_ignored
from kit.project.files import YAML_NAMES

SETTINGS = frozenset({*YAML_NAMES, "pyproject.toml", ".env", "netlify.toml"})
"""Files in the root that settings come from."""

RECORD = ".dist-info"
"""How the folder's name ends that an installer writes beside a package."""

STEP_MS = 50
"""How long nothing more may have been saved before what was is told."""

DEBOUNCE_MS = 400


class Watching:
    """
    Puts into `saved` which files of the project at *root* were saved, made or removed; and the
    records of packages that were installed into *packages* or removed there.

    Nothing is missed from entering on, however long it takes to take up what was saved. Each
    folder is watched for itself, so that what is within packages costs nothing. *tell* is told if
    that cannot go on. An async context manager.
    """

    def __init__(
        self, root: Path, tell: Callable[[str], None], packages: Iterable[Path] = ()
    ) -> None:
        self.saved: asyncio.Queue[set[Path]] = asyncio.Queue()
        self._root = root
        self._packages = frozenset(packages)
        self._tell = tell
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        await self._begun.wait()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._ended.set()
        await self._task

    async def _watch(self) -> None:
        new: set[Path] = set()
        try:
            while not self._ended.is_set():
                new = await self._watch_folders(new)
        except Exception as error:  # noqa: BLE001 - such as no more watches: all else goes on
            self._tell(f"error: what is saved is not noticed any more: {error}. Start kit dev anew")
        finally:
            self._begun.set()

    async def _watch_folders(self, fresh: Iterable[Path]) -> set[Path]:
        """Watch the folders there are, some of them *fresh*; return others as they appear."""
        async with aclosing(self._changes()) as changes:
            coming = asyncio.ensure_future(anext(changes, None))
            await asyncio.sleep(0)  # from here on it watches
            self._begun.set()
            self._put(_sources_in(fresh, self._root))
            while (found := await coming) is not None:
                files, new = _sorted_out(found, self._root)
                self._put(files)
                if new:
                    return new
                coming = asyncio.ensure_future(anext(changes, None))
        return set()

    def _changes(self) -> AsyncGenerator[set[tuple[Change, str]], None]:
        return awatch(
            *folders_of(self._root),
            *self._packages,
            watch_filter=self._matters,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=self._ended,
            recursive=False,
            ignore_permission_denied=True,
        )

    def _matters(self, _: Change, given: str) -> bool:
        path = Path(given)
        return is_package(path, self._packages) or matters(path, self._root)

    def _put(self, files: set[Path]) -> None:
        if files:
            self.saved.put_nowait(files)


def _sorted_out(found: set[tuple[Change, str]], root: Path) -> tuple[set[Path], set[Path]]:
    """Return the files that were saved, and the folders that are new; with what is in these."""
    paths = {Path(path): change for change, path in found}
    new = {
        each
        for each, change in paths.items()
        if change is Change.added and each.suffix != RECORD and each.is_dir()
    }
    files = {each for each in paths if each.suffix or each.name in SETTINGS} - new
    return files | _sources_in(new, root), new


def _sources_in(folders: Iterable[Path], root: Path) -> set[Path]:
    return {file for each in folders for file in each.rglob("*.py") if matters(file, root)}


def is_package(path: Path, packages: Collection[Path]) -> bool:
    """Tell whether *path* is the record of a package installed into one of *packages*."""
    return path.suffix == RECORD and path.parent in packages


def package_folders() -> list[Path]:
    """Return the folders that packages are installed into for this interpreter."""
    found = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return sorted(each for each in found if each.is_dir())


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
