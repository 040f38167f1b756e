"""
Bytecode that is believed without a look at its source.

Netlify's zip gives every file the year 1980, and a function's disk is slow: ordinary bytecode would
be thrown away at each cold start, and three quarters of the start spent on compiling. File names in
it are relative, so that it says nothing of the machine that made it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kit.deploy.bundle.tree import files_in
from kit.model.errors import BuildError
from kit.project.environment import process_environ

_WORTH = 20
"""Files that take as long to compile as a process takes to start."""

_COMPILE = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
level = int(sys.argv[1])
for line in sys.stdin:
    path, target = json.loads(line)
    try:
        py_compile.compile(path, target, path, True, level, mode)
    except (py_compile.PyCompileError, ValueError):
        pass  # templates, or for another Python: whoever imports it will learn
"""


def compile_tree(
    tree: Path, python: Path, minor: str, *, bare: Callable[[str], bool], without_docs: bool = False
) -> None:
    """
    Compile every Python file below *tree*; one that *bare* accepts is replaced by its bytecode.

    A file that cannot be compiled stays as it is. *without_docs* leaves out docstrings and asserts.
    """
    pairs = []
    for path in files_in(tree):
        if path.endswith(".py"):
            pairs.append((path, path + "c" if bare(path) else _cached(path, minor)))
    _compile(pairs, tree, python, level=2 if without_docs else 0)
    for path, target in pairs:
        if bare(path) and (tree / target).is_file():
            (tree / path).unlink()


def python_for(minor: str) -> Path:
    """
    Return an interpreter of this machine that makes bytecode of *minor*.

    Raises:
        BuildError: If there is none.
    """
    if minor == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    if found := shutil.which(f"python{minor}"):
        return Path(found)
    msg = (
        f"the bundle's Python {minor} cannot run on this machine, and there is no other Python"
        f" {minor} here to compile with: install one, or set workflow.python in kit.yaml to the"
        " version you have"
    )
    raise BuildError(msg, code="BUILD_NO_PYTHON")


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without what would change how a Python started with it behaves."""
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONHASHSEED": "0"}


def _cached(path: str, minor: str) -> str:
    folder, _, name = path.rpartition("/")
    file = f"__pycache__/{name[:-3]}.cpython-{minor.replace('.', '')}.pyc"
    return f"{folder}/{file}" if folder else file


def _compile(pairs: Iterable[tuple[str, str]], tree: Path, python: Path, *, level: int) -> None:
    """Share *pairs* among as many processes as there are processors, where they are many."""
    lines = [json.dumps(pair) + "\n" for pair in pairs]  # a name may hold any character
    count = min(os.cpu_count() or 1, 8, len(lines) // _WORTH + 1)
    processes = [_begin(lines[index::count], tree, python, level) for index in range(count)]
    failed = [status for status in [process.wait() for process in processes] if status]
    if failed:
        msg = f"{python} cannot compile: it ended with status {failed[0]}"
        raise BuildError(msg, code="BUILD_NO_PYTHON")


def _begin(lines: Iterable[str], tree: Path, python: Path, level: int) -> subprocess.Popen[str]:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.writelines(lines)
        file.seek(0)
        return subprocess.Popen(  # noqa: S603 - the bundle's interpreter, a constant program
            [python, "-B", "-s", "-S", "-P", "-X", "utf8", "-c", _COMPILE, str(level)],
            cwd=tree,
            env=clean(process_environ()),
            stdin=file,
            text=True,
        )
