"""
Names of workflows as their files' text has them, known before anything is bundled.

What only importing tells, the inspection of the bundle finds, if much later.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from kit.deploy.bundle.findings import Finding
from kit.project.discovery import duplicate, name_of, workflow_files


def judge_names(root: Path, folder: str) -> Iterator[Finding]:
    """Yield an error for each name that two workflow files below *folder* surely have."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in workflow_files(root / folder, root=root):
        name = _name(root / path, PurePosixPath(path).relative_to(folder))
        if name is not None:
            found.setdefault(name.lower(), []).append((path, name))
    for same in found.values():
        if len(same) > 1:
            error = duplicate(same)
            yield Finding("error", error.code, error.message)


def _name(file: Path, below: PurePosixPath) -> str | None:
    """Return the name that the workflow in *file* has; None if its text does not tell."""
    try:
        tree = ast.parse(file.read_bytes())
        named = name_of(below)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None  # importing it says what is wrong
    calls = [node for node in ast.walk(tree) if _is_definition(node)]
    given = [each.value for node in calls for each in node.keywords if each.arg in ("name", None)]
    if not given:
        return named
    if len(given) == 1 and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
        return given[0].value
    return None


def _is_definition(node: ast.AST) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name == "define_workflow"
