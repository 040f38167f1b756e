"""The manifest: what the bundle tells Node and Python of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from kit.deploy.bundle.plan import HttpModule, WorkflowFacts
from kit.deploy.bundle.tree import discard

NAME = "manifest.json"


def manifest_text(
    workflows: Iterable[WorkflowFacts],
    modules: Iterable[HttpModule],
    *,
    folder: str,
    paths: Iterable[str],
) -> str:
    """
    Return the manifest.

    `python`, `root` and `paths` are relative to the bundle, the rest to `root`, the project's
    folder in it. Packages go before *paths*, further folders of the project with modules.
    """
    content = {
        "python": "python/bin/python3",
        "root": "app",
        "paths": ["site", *(f"app/{path}" for path in paths)],
        "folder": folder,
        "workflows": {workflow.name: workflow.path for workflow in workflows},
        "functions": {module.name: module.path for module in modules},
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def write(bundle: Path, text: str, moment: int, *, stages: Collection[str]) -> None:
    """Write the manifest into *bundle*, and remove what is neither it nor one of the *stages*."""
    for path in bundle.iterdir():
        if path.name not in (NAME, *stages):
            discard(path)
    (bundle / NAME).write_text(text, encoding="utf-8", newline="\n")
    for path in (bundle / NAME, bundle):
        os.utime(path, (moment, moment))
