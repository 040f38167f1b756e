"""
Folders of files whose bytes depend on nothing but their input: no times, no links, plain modes.

A tree is made beside its place and moved there when it is whole, so that a build that was
interrupted leaves the old one or none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

EPOCH = 315_532_800
"""1 January 1980, the first moment a zip file can say; `SOURCE_DATE_EPOCH` goes before it."""

_ZIP_ENTRY = 120
"""What a file takes in a zip besides its content and, twice, its path."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much space files take: on disk, and about how much in a zip."""

    unzipped: int = 0
    zipped: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.unzipped + other.unzipped, self.zipped + other.zipped)


def files_in(tree: Path) -> Iterator[str]:
    """Yield the path of every file below *tree*, relative to it, in order."""
    for folder, names, files in os.walk(tree):
        names.sort()
        relative = os.path.relpath(folder, tree).replace(os.sep, "/")
        for name in sorted(files):
            yield name if relative == "." else f"{relative}/{name}"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, and whether it can be executed; nothing else."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(_mode(source.stat().st_mode))


def settle(tree: Path, moment: int = EPOCH) -> None:
    """Give all below *tree* one time and plain modes that any user can read; drop empty folders."""
    for folder, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = Path(folder, name)
            path.chmod(_mode(path.stat().st_mode))
            os.utime(path, (moment, moment))
        if Path(folder) != tree and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
            continue
        Path(folder).chmod(0o755)
        os.utime(folder, (moment, moment))


def move_into_place(made: Path, place: Path) -> None:
    """Put the tree *made* where *place* is; what was there is gone."""
    place.parent.mkdir(parents=True, exist_ok=True)
    discard(place)
    made.replace(place)


def discard(tree: Path) -> None:
    """Remove *tree*, if it is there."""
    if tree.is_dir() and not tree.is_symlink():
        shutil.rmtree(tree)
    else:
        tree.unlink(missing_ok=True)


def stamp(tree: Path) -> str:
    """Return a text that changes when anybody has touched a file below *tree*; reads no file."""
    digest = hashlib.sha256()
    for path in files_in(tree):
        found = (tree / path).lstat()
        facts = f"{path}\0{found.st_size}\0{found.st_mode}\0{found.st_mtime_ns}\n"
        digest.update(facts.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def digest_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """Return one digest of named contents."""
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def sizes(tree: Path, owners: Mapping[str, str], other: str) -> dict[str, Size]:
    """
    Return how much space each part of *tree* takes.

    *owners* says whose a file or a top folder is; what it does not name is *other*'s.
    """
    paths = list(files_in(tree))
    with ThreadPoolExecutor() as pool:
        measured = pool.map(lambda path: _size(tree / path, path), paths)
    parts: dict[str, Size] = {}
    for path, size in zip(paths, measured, strict=True):
        owner = owners.get(path) or owners.get(path.split("/", 1)[0]) or other
        parts[owner] = parts.get(owner, Size()) + size
    return parts


def _size(file: Path, path: str) -> Size:
    content = file.read_bytes()
    # level 1 is what Netlify's zips come to, measured against zip-it-and-ship-it 16.2.3
    return Size(len(content), len(zlib.compress(content, 1)) + 2 * len(path) + _ZIP_ENTRY)


def _mode(mode: int) -> int:
    return 0o755 if mode & 0o111 else 0o644
