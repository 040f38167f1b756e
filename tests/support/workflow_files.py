"""Workflow files of a project that is discovered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from kit.model.errors import (
    DiscoveryError,
)
from kit.project.discovery import Discovery, discover

FOLDER = Path("functions/workflows")


DEFINE = "from kit.client.definition import define_workflow\n"


ONE = f"{DEFINE}\n@define_workflow\nasync def run(input=None): return 1\n"


Write = Callable[..., Path]


def put(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = root / FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))


def find(root: Path, **files: str) -> Discovery:
    put(root, {f"{name}.py": text for name, text in files.items()})
    return discover(FOLDER, root=root)


def only_error(found: Discovery) -> DiscoveryError:
    (error,) = found.errors
    return error
