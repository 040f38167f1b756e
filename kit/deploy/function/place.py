"""
Where deployed Python finds itself: the bundle, its manifest, and the environment of each call.

The manifest lies in the bundle, written by `kit build`: where Python and the packages are, and
which file holds which workflow or HTTP function.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kit.model.errors import WorkflowNotFoundError
from kit.model.workflow import Workflow
from kit.project.discovery import load_workflow

if TYPE_CHECKING:
    from kit.client.provider import Provider

MANIFEST = "manifest.json"

_SETTINGS = ("WORKFLOW_", "AWL_API_KEY", "KIT_", "URL", "DEPLOY_URL", "CONTEXT")
_MOST_PROVIDERS = 8


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a bundle holds; paths are relative to `root`, the project's folder in the bundle.

    `workflows` are files by workflow name, `functions` files by the name of the HTTP function.
    """

    root: Path
    folder: Path
    workflows: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)


def read_manifest(bundle: Path) -> Manifest:
    """Return the manifest of a bundle."""
    found = json.loads((bundle / MANIFEST).read_bytes())
    root = bundle / found["root"]
    return Manifest(
        root,
        root / found["folder"],
        {name.lower(): file for name, file in found.get("workflows", {}).items()},
        found.get("functions", {}),
    )


class Place:
    """The bundle this process runs from, and what was loaded from it."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._workflows: dict[str, Workflow[..., Any]] = {}
        self._functions: dict[str, ModuleType] = {}
        self._surroundings = Surroundings()

    def enter(self, environ: Mapping[str, str], unset: tuple[str, ...]) -> None:
        """Make the environment what it is for this call."""
        self._surroundings.change(environ, unset)

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


class Surroundings:
    """The environment, and the provider that fits it: requests come to more than one address."""

    def __init__(self) -> None:
        self._providers: dict[tuple[tuple[str, str], ...], Provider] = {}
        self._now = _settings()

    def change(self, environ: Mapping[str, str], unset: tuple[str, ...]) -> None:
        """Set and unset variables; settings are read again if one of theirs is among them."""
        for name in unset:
            os.environ.pop(name, None)
        os.environ.update(environ)
        if any(name.startswith(_SETTINGS) for name in (*environ, *unset)):
            self._change_provider()

    def _change_provider(self) -> None:
        now = _settings()
        client = sys.modules.get("kit.client.api")
        if now == self._now or client is None:
            self._now = now
            return
        if client._provider is not None:
            self._providers[self._now] = client._provider
        while len(self._providers) > _MOST_PROVIDERS:
            self._providers.pop(next(iter(self._providers)))
        client.use_provider(self._providers.get(now))
        self._now = now


def _settings() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(each for each in os.environ.items() if each[0].startswith(_SETTINGS)))
