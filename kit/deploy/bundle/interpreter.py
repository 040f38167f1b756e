"""
The bundle's CPython: obtained once per version, then copied without what no function needs.

uv downloads python-build-standalone, which runs wherever it is put. This machine's own interpreter
will mostly not run there, as it needs this machine's libraries; it is taken only on request.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.deploy.bundle import uv
from kit.deploy.bundle.elf import read_binary
from kit.deploy.bundle.prune import keep_of_interpreter, mentions
from kit.deploy.bundle.target import INTERPRETER
from kit.deploy.bundle.tree import copy_file, files_in
from kit.model.errors import BuildError

DOWNLOADS = "KIT_PYTHON_DOWNLOADS_JSON"
"""Names a list of downloads in uv's own form, to be used instead of uv's."""

EXECUTABLE = "bin/python3"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython to copy: its folder, its version, and whether it is this machine's own."""

    folder: Path
    version: str
    is_running: bool = False

    @property
    def minor(self) -> str:
        """The version that bytecode and wheels go by, such as `3.13`."""
        return minor_of(self.version)


def minor_of(version: str) -> str:
    """Return `3.13` of `3.13.5`."""
    return ".".join(version.split(".")[:2])


def wanted_version(setting: str | None) -> str:
    """Return the version to bundle: the project's setting, else the one this runs on."""
    return setting or f"{sys.version_info.major}.{sys.version_info.minor}"


def running() -> Interpreter:
    """Return the interpreter this runs on."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Interpreter(Path(sys.base_prefix), version, is_running=True)


def obtain(version: str, cache: Path, environ: Mapping[str, str]) -> Interpreter:
    """
    Return a relocatable CPython for Netlify, downloading it unless *cache* has one.

    Raises:
        BuildError: If it cannot be obtained.
    """
    known = _cached(version, cache)
    if known is None:
        _download(version, cache, environ)
        known = _cached(version, cache)
    if known is None:
        msg = f"uv installed no CPython {version} for {INTERPRETER} in {cache}"
        raise BuildError(msg, code="BUILD_NO_PYTHON")
    return known


def copy(interpreter: Interpreter, mentioned: Collection[str], target: Path) -> None:
    """
    Copy what programs need of *interpreter* to *target*, the executable as `bin/python3`.

    *mentioned* are the optional modules that something in the bundle may import.
    """
    source = interpreter.folder
    name = f"python{interpreter.minor}"
    wanted = _with_their_own(source / "lib" / name, mentioned)
    for path in files_in(source / "lib" / name):
        _copy_if_kept(source, f"lib/{name}/{path}", wanted, target)
    for path_ in sorted((source / "lib").glob("lib*.so*")):
        if not interpreter.is_running:
            _copy_if_kept(source, f"lib/{path_.name}", wanted, target)
    executable = Path(os.path.realpath(executable_of(interpreter)))
    # the one file that is executed, under one name: links are not sure to travel
    copy_file(executable, target / EXECUTABLE)
    if interpreter.is_running:
        _copy_libpython(source, interpreter.minor, target)
    _drop_spare_libpython(target)
    _forget_place(source, target / "lib" / name)


def _cached(version: str, cache: Path) -> Interpreter | None:
    pattern = re.compile(rf"cpython-({re.escape(version)}(?:\.\d+)*)-{re.escape(INTERPRETER)}")
    folders = cache.iterdir() if cache.is_dir() else ()
    matches = (pattern.fullmatch(folder.name) for folder in folders if not folder.is_symlink())
    versions = [match[1] for match in matches if match]
    if not versions:
        return None
    newest = max(versions, key=lambda each: tuple(map(int, each.split("."))))
    return Interpreter(cache / f"cpython-{newest}-{INTERPRETER}", newest)


def _download(version: str, cache: Path, environ: Mapping[str, str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    arguments = ["python", "install", f"cpython-{version}-{INTERPRETER}", "--no-bin"]
    arguments += ["--install-dir", str(cache), "--no-config"]
    if downloads := environ.get(DOWNLOADS):
        arguments += ["--python-downloads-json-url", downloads]
    try:
        uv.run(arguments, cwd=cache, environ=environ)
    except uv.UvError as error:
        msg = (
            f"CPython {version} for Netlify cannot be obtained: {error}\nCheck the connection, or"
            f" the version (workflow.python in kit.yaml). {DOWNLOADS} may name another list of"
            " downloads"
        )
        raise BuildError(msg, code="BUILD_NO_PYTHON") from error


def executable_of(interpreter: Interpreter) -> Path:
    """Return the program to start *interpreter* with, where it is now."""
    if interpreter.is_running:
        return Path(getattr(sys, "_base_executable", sys.executable))
    return interpreter.folder / "bin" / f"python{interpreter.minor}"


def _with_their_own(library: Path, mentioned: Collection[str]) -> set[str]:
    """Return *mentioned*, and what these modules mention themselves, however far."""
    pending, found = list(mentioned), set(mentioned)
    while pending:
        name = pending.pop()
        folder = library / name
        sources = [library / f"{name}.py", *(folder.rglob("*.py") if folder.is_dir() else ())]
        for source in sources:
            new = mentions(source.read_bytes()) - found if source.is_file() else set()
            found |= new
            pending += new
    return found


def _copy_if_kept(source: Path, path: str, mentioned: Collection[str], target: Path) -> None:
    file = source / path
    if keep_of_interpreter(path, mentioned) and file.is_file():
        copy_file(file, target / path)


def _copy_libpython(source: Path, minor: str, target: Path) -> None:
    binary = read_binary(target / EXECUTABLE)
    for library in binary.libraries if binary else ():
        if library.startswith(f"libpython{minor}") and (source / "lib" / library).is_file():
            copy_file(source / "lib" / library, target / "lib" / library)


def _drop_spare_libpython(target: Path) -> None:
    """Remove Python as a library unless something loads it: most builds have it twice."""
    spare = {path.name: path for path in (target / "lib").glob("libpython*")}
    if not spare:
        return
    for path in files_in(target):
        if path.endswith(".so") or ".so." in path or path == EXECUTABLE:
            binary = read_binary(target / path)
            for library in binary.libraries if binary else ():
                spare.pop(library, None)
    for path_ in spare.values():
        path_.unlink()


def _forget_place(source: Path, library: Path) -> None:
    """Take out where uv has put the interpreter: a bundle tells nothing of its machine."""
    for file in library.glob("_sysconfigdata_*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(str(source), "/install"), encoding="utf-8")
