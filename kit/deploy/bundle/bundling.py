"""
The bundle, stage by stage: packages, project, Node's part, and the interpreter.

The interpreter comes last, as it is cut down to what the rest may import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from kit.deploy.bundle import app, interpreter, packages
from kit.deploy.bundle.app import Sources
from kit.deploy.bundle.bytecode import compile_tree, python_for
from kit.deploy.bundle.checks import mebibytes, unfit_binaries
from kit.deploy.bundle.inspection import PythonEnvironment
from kit.deploy.bundle.interpreter import EXECUTABLE, Interpreter
from kit.deploy.bundle.options import BuildOptions
from kit.deploy.bundle.prune import mentions
from kit.deploy.bundle.requirements import Requirements, find_requirements
from kit.deploy.bundle.stage import Facts, StageResult, Stages
from kit.deploy.bundle.target import PLATFORMS
from kit.deploy.bundle.tree import Size, digest_of, files_in, sizes
from kit.model.errors import BuildError

KIT_FOLDER = ".kit"
NODES_PART = "Netlify's own JavaScript (about)"
_NODES_SIZE = Size(1_300_000, 350_000)
"""What Netlify puts into every function, measured with zip-it-and-ship-it 16.2.3."""


class Bundler:
    """
    Makes the bundle of one project.

    Raises:
        BuildError: If there is no interpreter to put into it.
    """

    def __init__(self, options: BuildOptions, sources: Sources) -> None:
        self.options = options
        self.sources = sources
        kit = options.root / KIT_FOLDER
        self.stages = Stages(kit / "bundle", kit / "build", options.moment)
        options.observe("python", "")
        self.python = _interpreter(options, kit / "cache" / "python")

    def make(self, *, has_http: bool) -> dict[str, StageResult]:
        """
        Make what has changed, and return what came of each stage.

        Raises:
            BuildError: If packages cannot be had.
        """
        site, project = self._site(has_http=has_http), self._app()
        runtime = self._stage("runtime", _runtime_digest(), _make_runtime)
        mentioned = {*site.facts["mentions"], *project.facts["mentions"]}
        python = self._python(mentioned)
        return {"python": python, "site": site, "app": project, "runtime": runtime}

    @property
    def import_paths(self) -> tuple[str, ...]:
        """Folders of the project, besides its own, that modules are imported from."""
        return app.import_paths(self.options.root)

    def environment(self) -> PythonEnvironment:
        """Return where to import the project's modules from: the bundle, if it can run here."""
        options, bundle = self.options, self.stages.bundle
        if not options.machine.runs_bundle:
            places = (*(options.root / path for path in self.import_paths), options.root)
            return PythonEnvironment(
                Path(sys.executable), places, options.root, options.folder, is_bundle=False
            )
        paths = (bundle / "site", *(bundle / "app" / path for path in self.import_paths))
        python, root = bundle / "python" / EXECUTABLE, bundle / "app"
        return PythonEnvironment(python, (*paths, root), root, options.folder)

    def _site(self, *, has_http: bool) -> StageResult:
        root, version = self.options.root, self.python.version
        wanted = find_requirements(root, has_http=has_http)
        given = [wanted.needed, wanted.wanted, wanted.content]
        inputs = [given, version, PLATFORMS, packages.kit_digest()]
        return self._stage("site", inputs, lambda target: self._make_site(target, wanted))

    def _make_site(self, target: Path, wanted: Requirements) -> Facts:
        root, environ = self.options.root, self.options.environ
        owners = packages.install(wanted, self.python.minor, target, root=root, environ=environ)
        brought = packages.brought_by_kit(target)
        bare = {top for top, title in owners.items() if title in brought}
        mentioned = _mentions(target)
        reads = packages.read_themselves(target)
        # of what the kit brings, bytecode is enough: nobody debugs it from a function's log
        self._compile(target, bare=lambda path: path.split("/", 1)[0] in bare and path not in reads)
        return {**_facts(target, owners, "other files"), "mentions": mentioned}

    def _app(self) -> StageResult:
        root, settings = self.options.root, self.options.settings
        sources = self.sources
        contents = digest_of((path, app.read(root, path)) for path in sources.paths)

        def make(target: Path) -> Facts:
            app.copy(root, sources, settings, target)
            self._compile(target, bare=lambda path: False)
            facts = _facts(target, {}, "the project")
            return {**facts, "mentions": _mentions(target)}

        return self._stage("app", [contents, settings, self.python.version], make)

    def _python(self, mentioned: set[str]) -> StageResult:
        python = self.python
        # discovery tells the frames of `importlib` by its file, which must be the one compiled
        sourced = f"lib/python{python.minor}/importlib/__init__.py"

        def make(target: Path) -> Facts:
            interpreter.copy(python, mentioned, target)
            self._compile(target, bare=lambda path: path != sourced, without_docs=True)
            return _facts(target, {}, f"python {python.version}")

        inputs = [python.folder.name, python.version, python.is_running, sorted(mentioned)]
        return self._stage("python", inputs, make)

    def _compile(
        self, target: Path, *, bare: Callable[[str], bool], without_docs: bool = False
    ) -> None:
        minor, own = self.python.minor, interpreter.executable_of(self.python)
        compiler = own if self.options.machine.runs_bundle else python_for(minor)
        compile_tree(target, compiler, minor, bare=bare, without_docs=without_docs)

    def _stage(self, name: str, inputs: Any, make: Callable[[Path], Facts]) -> StageResult:
        self.options.observe(name, "")
        done = self.stages.run(name, inputs, make)
        size = sum(sizes_of(done).values(), Size())
        told = [mebibytes(size.unzipped), *([] if done.fresh else ["unchanged"])]
        if name == "python":
            told.insert(0, self.python.version)
        self.options.observe(name, ", ".join(told))
        return done


def sizes_of(done: StageResult) -> dict[str, Size]:
    """Return how much space each part of a stage's tree takes."""
    return {name: Size(*size) for name, size in done.facts["parts"].items()}


def parts_of(done: Mapping[str, StageResult]) -> dict[str, Size]:
    """Return how much space each part of a function takes."""
    parts = {NODES_PART: _NODES_SIZE}
    for each in done.values():
        for name, size in sizes_of(each).items():
            parts[name] = parts.get(name, Size()) + size
    return parts


def _interpreter(options: BuildOptions, cache: Path) -> Interpreter:
    version = interpreter.wanted_version(options.config.get_workflow().python)
    if not options.use_running:
        return interpreter.obtain(version, cache, options.environ)
    own = interpreter.running()
    if not options.machine.runs_bundle or interpreter.minor_of(version) != own.minor:
        msg = (
            f"the running Python is {own.version} on {options.machine}; the bundle needs {version}"
            " on Linux x86-64. Build without --python running"
        )
        raise BuildError(msg, code="BUILD_NO_PYTHON")
    return own


def _facts(tree: Path, owners: Mapping[str, str], other: str) -> Facts:
    measured = sizes(tree, owners, other)
    parts = {name: [size.unzipped, size.zipped] for name, size in sorted(measured.items())}
    return {"parts": parts, "unfit": unfit_binaries(tree)}


def _mentions(tree: Path) -> list[str]:
    """Return the optional modules that any code below *tree* mentions, except the kit's."""
    found: set[str] = set()
    for path in files_in(tree):
        if path.endswith((".py", ".so")) and not path.startswith("kit/"):
            found |= mentions((tree / path).read_bytes())
    return sorted(found)


def _runtime_digest() -> str:
    return digest_of((name, _runtime(name)) for name in _runtime_files())


def _make_runtime(target: Path) -> Facts:
    for name in _runtime_files():
        (target / name).write_bytes(_runtime(name))
    return _facts(target, {}, NODES_PART)


def _runtime_files() -> list[str]:
    folder = files("kit.deploy.function").joinpath("runtime")
    return sorted(each.name for each in folder.iterdir() if each.name.endswith(".mjs"))


def _runtime(name: str) -> bytes:
    return files("kit.deploy.function").joinpath("runtime", name).read_bytes()
