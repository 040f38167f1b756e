"""Projects to build, and what projects can share that are built."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kit.deploy.bundle.build import build
from kit.deploy.bundle.options import BuildOptions
from kit.deploy.bundle.report import Report
from kit.deploy.bundle.tree import files_in
from kit.project.config import load
from kit.project.scaffold import init

REPOSITORY = Path(__file__).parents[3]
LIBRARY = "@netlify/async-workloads"
WORKFLOW = """\
from kit import define_workflow

@define_workflow({policy})
async def handler(input=None):
    return {{"ok": True}}
"""


@dataclass(frozen=True)
class Builder:
    """Builds projects with an interpreter that is at hand."""

    environ: Mapping[str, str]
    use_running: bool = False

    def build_options(
        self, root: Path, environ: Mapping[str, str] = {}, **options: Any
    ) -> BuildOptions:
        given = {**self.environ, **environ}
        config = load(root, environ=given)
        return BuildOptions(config, given, use_running=self.use_running, **options)


@dataclass(frozen=True)
class Project:
    """A project, and how to build it. `report` is what the build it was copied from came to."""

    root: Path
    builder: Builder
    report: Report = field(default_factory=Report)

    @property
    def bundle(self) -> Path:
        return self.root / ".kit/bundle"

    @property
    def manifest(self) -> Any:
        return json.loads((self.bundle / "manifest.json").read_bytes())

    @property
    def functions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "functions").glob("*.mjs"))

    def write(self, path: str, text: str | bytes = "") -> Path:
        return write(self.root, path, text)

    def workflow(self, name: str, policy: str = "") -> Path:
        return self.write(f"functions/workflows/{name}.py", WORKFLOW.format(policy=policy))

    def build_options(self, environ: Mapping[str, str] = {}, **options: Any) -> BuildOptions:
        return self.builder.build_options(self.root, environ, **options)

    def build(self, environ: Mapping[str, str] = {}, **options: Any) -> Report:
        return build(self.build_options(environ, **options))

    def copy(self, root: Path, *, shared: bool = False) -> Project:
        """Return a copy in another folder, where interpreter and packages may be the same files."""
        return replace(self, root=_copy(self.root, root, STAGES if shared else ()))

    def elsewhere(self, root: Path) -> Project:
        """Return a copy in another folder, of which nothing is built."""
        copy = self.copy(root, shared=True)
        for made in ("bundle", "build"):
            shutil.rmtree(root / ".kit" / made)
        for entry in copy.functions:
            (root / "functions" / entry).unlink()
        return copy

    def contents(self, tree: str = "") -> dict[str, tuple[str, int]]:
        """Return the digest and mode of every file below *tree* of the bundle."""
        found = {}
        for path in files_in(self.bundle / tree):
            file = self.bundle / tree / path
            mode = stat.S_IMODE(file.lstat().st_mode)
            found[path] = (hashlib.sha256(file.read_bytes()).hexdigest(), mode)
        return found


def built(folder: Path, builder: Builder) -> Project:
    """Build the project in *folder*, if no other worker has."""
    known = folder / "report"
    if known.exists():
        return replace(Project(folder / "site", builder), report=pickle.loads(known.read_bytes()))
    project = new(folder / "site", builder)
    project = replace(project, report=project.build())
    known.write_bytes(pickle.dumps(project.report))
    return project


CACHE = ".kit/cache"
"""What a build reads and, having its interpreter, never writes: four thousand files."""
STAGES = (".kit/bundle/python", ".kit/bundle/site")
"""What a build never writes into, but makes anew: a thousand files."""


def _copy(source: Path, target: Path, shared: tuple[str, ...]) -> Path:
    """Copy a project but for its cache, which both then have, and for the files in *shared*."""
    same = tuple(str(source / each) + os.sep for each in shared)

    def copied(file: str, to: str) -> object:
        return os.link(file, to) if file.startswith(same) else shutil.copy2(file, to)

    def left(folder: str, names: list[str]) -> list[str]:
        return ["cache"] if Path(folder) == source / ".kit" else []

    root = Path(shutil.copytree(source, target, symlinks=True, ignore=left, copy_function=copied))
    share_cache(source, root)
    return root


def share_python(source: Path, target: Path) -> None:
    """Let the project *target*, of which nothing is built, have the interpreter of *source*."""
    share_cache(source, target)
    python, record = ".kit/bundle/python", ".kit/build/python.json"
    shutil.copytree(source / python, target / python, copy_function=os.link)
    (target / record).parent.mkdir()
    shutil.copy2(source / record, target / record)


def share_cache(source: Path, target: Path) -> None:
    """Let the project *target*, which has none, have the cache of *source*."""
    if (source / CACHE).is_dir():  # none where the running interpreter is bundled
        (target / ".kit").mkdir(exist_ok=True)
        (target / CACHE).symlink_to((source / CACHE).resolve(), target_is_directory=True)


def new(root: Path, builder: Builder) -> Project:
    """Return what `kit init` writes, with an HTTP function."""
    init(root, name="demo")
    settings = root / "kit.yaml"
    settings.write_text(settings.read_text().replace("store: blobs", "store: awl"))
    write(root, "functions/api/publish.py", "def get(request):\n    return {}\n")
    package, own = root / "node_modules" / LIBRARY, REPOSITORY / "node_modules" / LIBRARY
    if own.is_dir():
        shutil.copytree(own, package)
    else:  # as a stub: nothing is imported from it here
        write(package, "package.json", "{}")
    return Project(root, builder)


def write(root: Path, path: str, text: str | bytes = "") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file
