"""
The project's own part of the bundle: its Python files, and the data that lies among them.

Taken is every Python file below the root, and whatever else is in a folder that has Python files,
or below one. Left out is what is no part of the program: environments, tests, built and hidden
files, JavaScript; but not below the folders of workflows and HTTP modules, where every file counts.
What may be a secret is left out and said. A link that leaves its folder is refused: what it brings
is nobody's intention. The setting `include` takes what these rules do not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kit.deploy.bundle.packages import KIT_SOURCE
from kit.deploy.bundle.requirements import is_kit
from kit.deploy.bundle.secret_scan import named_like_secret, secret_in_code, secret_in_data
from kit.deploy.bundle.tree import copy_file
from kit.model.errors import BuildError

_NEVER = ("__pycache__", "node_modules")
_FOLDERS = frozenset({
    "benchmarks", "build", "dist", "docs", "env", "htmlcov", "site-packages", "test", "tests",
    "venv",
})  # fmt: skip
_SUFFIXES = (".pyc", ".pyi", ".js", ".mjs", ".cjs", ".ts", ".mts", ".jsx", ".tsx", ".map", ".log")
_TESTS = ("conftest.py", "noxfile.py", "setup.py")
_NOT_INCLUDED = (".git", ".kit", "node_modules")
_SETTINGS = ("kit.yaml", "kit.yml", "pyproject.toml")
"""The project's own settings, of which a function gets what concerns it, in another form."""


@dataclass(frozen=True, slots=True)
class Sources:
    """
    The project's files to be bundled.

    `left_out` tells of those that may be secrets why they are thought to be; `links` where those
    lead that are refused; `keys` what seems to stand in code, by file; `unmatched` are patterns of
    the setting `include` that no file has.
    """

    paths: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()


def find_sources(root: Path, *, whole: Iterable[str] = (), include: Iterable[str] = ()) -> Sources:
    """
    Return which files of the project to bundle; the kit, where it is among them, is not.

    *whole* are folders of which nothing is left out, *include* patterns of files to take anyhow.

    Raises:
        BuildError: If a file cannot be read.
    """
    included = {pattern: list(_matches(root, pattern)) for pattern in include}
    wanted = {path for paths in included.values() for path in paths}
    walk = _Walk(root, tuple(PurePosixPath(each) for each in whole))
    for path in walk.files():
        if path not in wanted:
            walk.judge(path)
    links = {
        link: target
        for link, target in walk.links.items()
        if not any(path.startswith(f"{link}/") for path in wanted)
    }
    return Sources(
        tuple(sorted({*walk.taken, *wanted})),
        walk.left_out,
        links,
        walk.keys,
        tuple(pattern for pattern, paths in included.items() if not paths),
    )


def copy(root: Path, sources: Sources, settings: Mapping[str, str | int], target: Path) -> None:
    """
    Copy *sources* to *target*, and write *settings* as the project's configuration there.

    TOML rather than the project's own YAML: Python reads it without a package.
    """
    for path in sources.paths:
        copy_file(root / path, target / path)
    lines = ["# Written by `kit build`: the settings that came from files.", "[tool.kit.workflow]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in sorted(settings.items())]
    (target / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def import_paths(root: Path) -> tuple[str, ...]:
    """Return the folders below *root*, besides itself, that modules are imported from."""
    source = root / "src"
    is_layout = source.is_dir() and not (source / "__init__.py").exists()
    return ("src",) if is_layout else ()


def read(root: Path, path: str) -> bytes:
    """
    Return the content of a file of the project.

    Raises:
        BuildError: If it cannot be read.
    """
    try:
        return (root / path).read_bytes()
    except OSError as error:
        msg = f"{root / path} cannot be read: {error.strerror}. Check who may read it"
        raise BuildError(msg, code="BUILD_UNREADABLE", details={"paths": [path]}) from error


class _Walk:
    """Goes through a project, and sorts its files."""

    def __init__(self, root: Path, whole: tuple[PurePosixPath, ...]) -> None:
        own = [root / "kit"] if is_kit(root) else []
        self.taken: list[str] = []
        self.left_out: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self._root = root
        self._whole = whole
        self._apart = {os.path.realpath(path) for path in (KIT_SOURCE, *own)}

    def files(self) -> Iterator[str]:
        """Yield what would be taken, were it no link and no secret."""
        with_python: set[PurePosixPath] = set()
        for folder, names, files in os.walk(self._root):
            relative = PurePosixPath(os.path.relpath(folder, self._root).replace(os.sep, "/"))
            is_whole = self._is_whole(relative)
            has_python = any(name.endswith(".py") for name in files)
            if relative.parts and (is_whole or has_python or relative.parent in with_python):
                with_python.add(relative)
            takes_data = relative in with_python
            names[:] = sorted(it for it in names if self._enters(relative / it, takes_data))
            is_taken = _whole if is_whole else _rule(relative, takes_data=takes_data)
            for name in sorted(files):
                if not name.startswith(".") and is_taken(name):
                    yield str(relative / name)

    def judge(self, path: str) -> None:
        """Take *path*, or note why not."""
        file = self._root / path
        if file.is_symlink() and (leads_to := self._away(file) or self._nowhere(file)):
            self.links[path] = leads_to
        elif not file.is_file():
            return
        elif not path.endswith(".py") and (why := self._secret(path)):
            self.left_out[path] = why
        else:
            self.taken.append(path)
            if path.endswith(".py") and (key := secret_in_code(read(self._root, path))):
                self.keys[path] = f"line {key[0]} of {path} seems to hold {key[1]}"

    def _enters(self, path: PurePosixPath, takes_data: bool) -> bool:
        name, folder = path.name, self._root / path
        if name in _NEVER or os.path.realpath(folder) in self._apart:
            return False
        leads_to_whole = any(each.is_relative_to(path) for each in self._whole)
        if name.startswith(".") and not leads_to_whole:
            return False
        is_whole = leads_to_whole or self._is_whole(path)
        if not is_whole and _is_apart(folder):
            return False
        if folder.is_symlink():
            self._meet(path, would_be_taken=takes_data or leads_to_whole)
            return False
        return True

    def _meet(self, path: PurePosixPath, *, would_be_taken: bool) -> None:
        """Note a link to a folder, which is not followed, if anything there would be missed."""
        folder = self._root / path
        leads_away = self._away(folder) and (would_be_taken or _has_python(folder))
        if leads_away or self._is_whole(path):
            self.links[str(path)] = os.path.realpath(folder)

    def _is_whole(self, path: PurePosixPath) -> bool:
        return any(each.parts and path.is_relative_to(each) for each in self._whole)

    def _away(self, link: Path) -> str | None:
        """Return where *link* leads, if that is out of its folder, or to what is hidden there."""
        folder, target = Path(os.path.realpath(link.parent)), Path(os.path.realpath(link))
        if not target.is_relative_to(folder):
            return str(target)
        inside = target.relative_to(folder)
        return str(target) if any(part.startswith(".") for part in inside.parts) else None

    def _nowhere(self, link: Path) -> str | None:
        """Return where *link* leads, if nothing is there."""
        return None if link.exists() else os.path.realpath(link)

    def _secret(self, path: str) -> str | None:
        """Say why *path* may be a secret, if it may."""
        file = self._root / path
        if named_like_secret(path) or named_like_secret(file.resolve().name):
            return "may hold a secret by its name"
        what = secret_in_data(read(self._root, path))
        return f"seems to hold {what}" if what else None


def _is_apart(folder: Path) -> bool:
    """Tell whether *folder* is no part of a program, by its name or as an environment."""
    is_named_so = folder.name in _FOLDERS or folder.name.endswith((".egg-info", ".dist-info"))
    return is_named_so or (folder / "pyvenv.cfg").exists()


def _has_python(folder: Path) -> bool:
    try:
        return any(file.suffix == ".py" for file in folder.iterdir())
    except OSError:
        return False


def _matches(root: Path, pattern: str) -> Iterator[str]:
    for file in sorted(root.glob(pattern)):
        path = file.relative_to(root)
        is_apart = set(path.parts) & set(_NOT_INCLUDED) or str(path) in _SETTINGS
        if file.is_file() and not is_apart:
            yield path.as_posix()


def _whole(name: str) -> bool:
    return not name.endswith(".pyc")


def _rule(folder: PurePosixPath, *, takes_data: bool) -> Callable[[str], bool]:
    def is_taken(name: str) -> bool:
        if name.endswith(".py"):
            is_test = re.fullmatch(r"test_.*|conftest\.py", name)
            return not is_test and not (not folder.parts and name in _TESTS)
        return takes_data and not name.endswith(_SUFFIXES)

    return is_taken
