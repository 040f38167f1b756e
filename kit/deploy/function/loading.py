"""What a deployed function can run: the workflows and HTTP functions of its bundle, by name."""

from __future__ import annotations

import importlib
import sys
import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from kit.deploy.function.manifest import Manifest
from kit.model.errors import WorkflowNotFoundError
from kit.model.workflow import Workflow
from kit.project.discovery import load_workflow


class Loader:
    """Loads what a bundle holds when it is first asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._workflows: dict[str, Workflow[..., Any]] = {}
        self._functions: dict[str, ModuleType] = {}

    def workflow(self, name: str) -> Workflow[..., Any]:
        """
        Return the workflow that answers to *name*, in any case.

        Raises:
            WorkflowNotFoundError: If the bundle has none of that name.
            DiscoveryError: If its file is wrong.
        """
        key = name.lower()
        if key not in self._workflows:
            file = self.manifest.workflows.get(key)
            if file is None:
                known = sorted(self.manifest.workflows)
                msg = f"this function holds no workflow {name!r}; it has: {', '.join(known)}"
                raise WorkflowNotFoundError(msg, known=known)
            root, folder = self.manifest.root, self.manifest.folder
            self._workflows[key] = load_workflow(root / file, folder=folder, root=root)
        return self._workflows[key]

    def function(self, name: str) -> ModuleType:
        """
        Return the module of an HTTP function.

        Raises:
            LookupError: If the bundle has none of that name.
        """
        if name not in self._functions:
            if name not in self.manifest.functions:
                msg = f"this function's bundle holds no HTTP function {name!r}"
                raise LookupError(msg)
            file = self.manifest.functions[name]
            self._functions[name] = _import_function(file, self.manifest.root)
        return self._functions[name]


def _import_function(file: str, root: Path) -> ModuleType:
    """Import a file under its dotted path, or under a derived name if that is not possible."""
    parts = PurePosixPath(file).with_suffix("").parts
    if all(part.isidentifier() for part in parts):
        module = importlib.import_module(".".join(parts))
        if module.__file__ == str(root / file):  # else a package has a module of that name
            return module
    name = f"kit_function_{zlib.crc32(file.encode()):08x}"
    spec = spec_from_file_location(name, root / file)
    assert spec is not None  # noqa: S101 - it ends in .py
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
