"""
The project's own part of the bundle: its Python files, and the data that lies among them.

Taken is every Python file below the root, and whatever else is in a folder that has Python files,
or below one. Left out is what is no part of the program: environments, tests, built and hidden
files, JavaScript. What by its name may be a secret is never taken, and said.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kit.deploy.bundle.packages import KIT_SOURCE
from kit.deploy.bundle.requirements import is_kit
from kit.deploy.bundle.tree import copy_file

_FOLDERS = frozenset({
    "__pycache__", "benchmarks", "build", "dist", "docs", "env", "htmlcov", "node_modules",
    "site-packages", "test", "tests", "venv",
})  # fmt: skip
_SUFFIXES = (".pyc", ".pyi", ".js", ".mjs", ".cjs", ".ts", ".mts", ".jsx", ".tsx", ".map", ".log")
_SECRETS = (
    "*.env", "*.jks", "*.kdbx", "*.key", "*.keystore", "*.p12", "*.pem", "*.pfx", "*credential*.*",
    "id_dsa", "id_ecdsa", "id_ed25519", "id_rsa", "secrets.*", "service[-_]account*.json",
)  # fmt: skip
_TESTS = ("conftest.py", "noxfile.py", "setup.py")


@dataclass(frozen=True, slots=True)
class Sources:
    """The project's files to be bundled, and those left out because they may be secrets."""

    paths: tuple[str, ...]
    secrets: tuple[str, ...] = ()


def find_sources(root: Path) -> Sources:
    """Return which files of the project to bundle; the kit, where it is among them, is not."""
    own = [root / "kit"] if is_kit(root) else []
    apart = {os.path.realpath(path) for path in (KIT_SOURCE, *own)}
    paths, secrets = [], []
    with_python: set[str] = set()
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if _enters(Path(folder, name), name, apart))
        relative = PurePosixPath(os.path.relpath(folder, root).replace(os.sep, "/"))
        if relative.parts and (_has_python(files) or str(relative.parent) in with_python):
            with_python.add(str(relative))
        for name in sorted(files):
            path = relative / name
            takes_data = str(relative) in with_python
            if name.startswith(".") or not _belongs(Path(folder, name), root):
                continue
            if is_secret(name) and takes_data:
                secrets.append(str(path))
            elif _is_taken(name, takes_data=takes_data, at_top=not relative.parts):
                paths.append(str(path))
    return Sources(tuple(sorted(paths)), tuple(sorted(secrets)))


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


def is_secret(name: str) -> bool:
    """Tell whether a file of that name may hold a secret."""
    if name.lower().endswith(".py"):
        return False
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in _SECRETS)


def _enters(path: Path, name: str, apart: set[str]) -> bool:
    if name.startswith(".") or name in _FOLDERS or name.endswith((".egg-info", ".dist-info")):
        return False
    if path.is_symlink() or os.path.realpath(path) in apart:
        return False
    return not (path / "pyvenv.cfg").exists()


def _has_python(files: Iterable[str]) -> bool:
    return any(name.endswith(".py") for name in files)


def _belongs(path: Path, root: Path) -> bool:
    """Tell whether *path* is a file, and if a link, one to a file of the project."""
    if not path.is_file():
        return False
    return not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(root)
    )


def _is_taken(name: str, *, takes_data: bool, at_top: bool) -> bool:
    if name.endswith(".py"):
        return not (at_top and name in _TESTS) and not re.fullmatch(r"test_.*|conftest\.py", name)
    return takes_data and not name.endswith(_SUFFIXES)
