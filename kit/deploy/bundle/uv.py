"""
uv, which fetches the interpreter and the packages.

uv rather than pip: pip judges conditions such as `sys_platform == "linux"` and
`python_version < "3.12"` by the machine it runs on, and so forgets packages when it installs for
another; and it comes with every venv but not with every Python. Where pip has been told of other
indexes and uv has not, uv is told of them too.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kit.model.errors import BuildError

_INDEXES = (
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_NO_INDEX",
)
_OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
}


class UvError(Exception):
    """uv has failed; the text is what it said."""


def command() -> list[str]:
    """
    Return how to call uv.

    Raises:
        BuildError: If there is none.
    """
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    if found := shutil.which("uv"):
        return [found]
    msg = (
        "uv is not installed, which fetches the interpreter and the packages of the bundle."
        " Install it with: pip install 'netlify-workflow-kit[dev]'"
    )
    raise BuildError(msg, code="BUILD_NO_UV")


def run(arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
    """
    Call uv and wait.

    Raises:
        UvError: If it fails.
        BuildError: If there is no uv.
    """
    done = subprocess.run(  # noqa: S603 - uv's own arguments, no shell
        [*command(), *arguments, "--no-progress", "--color", "never"],
        cwd=cwd,
        env={**environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise UvError(_said(done.stderr or done.stdout))


def indexes(environ: Mapping[str, str]) -> list[str]:
    """Return options that tell uv of pip's indexes, unless uv has been told of its own."""
    if any(environ.get(name) for name in _INDEXES):
        return []
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=dict(environ),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    options = list(_translated(done.stdout)) if done.returncode == 0 else []
    # as pip has it: of all indexes, the best version
    return [*options, "--index-strategy", "unsafe-best-match"] if options else []


def _translated(listing: str) -> list[str]:
    """Turn `global.index-url='…'` lines into options; what stands last counts, as with pip."""
    found: dict[str, list[str]] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        option = _OPTIONS.get(name.rpartition(".")[2])
        if option:
            found[option] = value.strip("'\"").replace("\\n", " ").split()
    return [
        text for option, values in found.items() for value in values for text in (option, value)
    ]


def _said(text: str) -> str:
    noise = ("Using CPython", "warning:", "Using Python")
    return "\n".join(line for line in text.splitlines() if not line.startswith(noise)).strip()
