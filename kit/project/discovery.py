"""
Files to workflows: which files there are, what each is called, what is wrong with some.

A file is imported under its dotted path below the project's root
(`functions.workflows.publish_draft`), so that pickles, type hints and the project's own imports
meet the same module; a path that Python could not spell gets a derived name, the same in every
process. The root goes first on `sys.path`. Discovering again gives the same module unless the
file has changed, or another root came between with a file of that name; modules a workflow
imports are not looked at again.

One wrong file spoils nothing for the others: errors are collected. A file is not expected to
hang, and is run with all rights, as any import is.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from kit.model.errors import DiscoveryError, DuplicateWorkflowError, WorkflowImportError
from kit.model.event import check_own_name
from kit.model.workflow import AnyWorkflow, Workflow
from kit.project.importing import exclusively, load_module

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NOT_THE_USERS = (f"{Path(__file__).parents[1]}{os.sep}", importlib.__file__, "<frozen importlib")


class Discovery(NamedTuple):
    """
    What was found: workflows and their files by name, and an error for each file that is wrong.

    `paths` are relative to the project's root. `broken` holds the errors by the name, in lower
    case, that their files would have given.
    """

    workflows: Mapping[str, AnyWorkflow] = _NOTHING
    paths: Mapping[str, str] = _NOTHING
    errors: tuple[DiscoveryError, ...] = ()
    broken: Mapping[str, DiscoveryError] = _NOTHING

    @property
    def by_name(self) -> dict[str, AnyWorkflow]:
        """The workflows by their names in lower case."""
        return {name.lower(): workflow for name, workflow in self.workflows.items()}


def name_of(relative_path: PurePath) -> str:
    """
    Return the name a workflow file has by its path below the workflows folder.

    Raises:
        ValueError: If it is the `__init__.py` of the folder itself, which has no name.
    """
    parts = relative_path.with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    if not parts:
        msg = f"{relative_path} in the workflows folder itself is no workflow: it has no name"
        raise ValueError(msg)
    return "/".join(part.replace("_", "-") for part in parts)


def discover(folder: Path, *, root: Path) -> Discovery:
    """
    Import every workflow file below *folder* and return what they define, in order of path.

    Folders that are links are not entered. A folder that does not exist holds nothing.

    Raises:
        RuntimeError: If a workflow file calls it while it is being imported.
    """
    project = _Project(root, folder)
    with exclusively():
        files, errors = project.files()
        broken: dict[str, DiscoveryError] = {}
        found: dict[str, list[tuple[str, AnyWorkflow]]] = {}
        for file in files:
            try:
                workflow = project.load(file)
            except DiscoveryError as error:
                errors.append(error)
                broken.setdefault(project.name(file).lower(), error)
            else:
                same = found.setdefault(workflow.event_name.lower(), [])
                same.append((project.shown(file), workflow))
        for name, same in found.items():
            if len(same) > 1:
                broken[name] = duplicate([(path, each.event_name) for path, each in same])
                errors.append(broken[name])
    alone = sorted((w.event_name, path, w) for [(path, w), *more] in found.values() if not more)
    return Discovery(
        workflows={name: workflow for name, _, workflow in alone},
        paths={name: path for name, path, _ in alone},
        errors=tuple(sorted(errors, key=lambda error: error.path)),
        broken=broken,
    )


def workflow_files(folder: Path, *, root: Path) -> list[str]:
    """Return the files below *folder* that `discover` imports, relative to *root*, in order."""
    project = _Project(root, folder)
    return [project.shown(file) for file in project.files()[0]]


def load_workflow(file: Path, *, folder: Path, root: Path) -> AnyWorkflow:
    """
    Import one workflow file and return its workflow, named.

    The workflow is the one the file *defines*: its handler is a function of the file, or the
    file called `define_workflow`. One imported from another file is that file's.

    Raises:
        DiscoveryError: If the file cannot be imported, or does not define exactly one workflow.
    """
    project = _Project(root, folder)
    with exclusively():
        return project.load(Path(os.path.realpath(file.parent)) / file.name)


class _Project:
    """A root and the workflows folder in it, both without links on the way."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.folder = Path(os.path.realpath(self.root / folder))

    def shown(self, path: Path) -> str:
        """Return *path* as errors name it: relative to the root, and printable."""
        text = Path(os.path.relpath(path, self.root)).as_posix()
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

    def name(self, file: Path) -> str:
        """Return the name *file* has by its place."""
        return name_of(file.relative_to(self.folder))

    def files(self) -> tuple[list[Path], list[DiscoveryError]]:
        """Return the files that may be workflows, and folders that cannot be looked into."""
        files: list[Path] = []
        errors: list[DiscoveryError] = []
        pending = [self.folder] if os.path.lexists(self.folder) else []
        if pending and not self.folder.is_relative_to(self.root):
            why = f"leads out of the project ({self.root}); move the workflows into it"
            return [], [_wrong(self.shown(self.folder), why)]
        while pending:
            folder = pending.pop()
            try:
                pending += _sort_out(folder, files, is_top=folder == self.folder)
            except OSError as error:
                why = f"cannot be looked into: {error.strerror}"
                errors.append(_wrong(self.shown(folder), why))
        return sorted(files), errors

    def load(self, file: Path) -> AnyWorkflow:
        """Import *file* and return the one workflow it defines, named."""
        shown = self.shown(file)
        if not Path(os.path.realpath(file)).is_relative_to(self.root):
            raise _wrong(shown, "is a link that leads out of the project; put the file itself here")
        if not file.is_file():
            raise _wrong(shown, "is no file; remove it, or put a workflow file there")
        try:
            module = load_module(file, self.root)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: the other files still count
            raise _import_error(error, shown) from error
        workflow = _only_workflow(module, shown, f"{self.folder}{os.sep}")
        # a module may be discovered again, in another folder: what the user gave is kept apart
        given = vars(module).setdefault("__workflow_name__", workflow.name)
        try:
            name = given or check_own_name(self.name(file))
        except ValueError as error:
            why = f"gives no usable name: {error}. Rename it, or use define_workflow(name=…)"
            raise _wrong(shown, why) from error
        workflow._set(name=name)  # in place: the module's own object is what users import
        return workflow


def _sort_out(folder: Path, files: list[Path], *, is_top: bool) -> list[Path]:
    """Add to *files* what may be workflows in *folder*, and return the folders in it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            is_init = entry.name == "__init__.py" and not is_top
            if (entry.name.startswith(("_", ".")) and not is_init) or entry.name == "node_modules":
                continue
            path = Path(entry.path)
            if entry.is_dir():
                folders += [] if entry.is_symlink() else [path]
            elif path.suffix == ".py" and (entry.is_file() or entry.is_symlink()):
                files.append(path)
    return folders


def _only_workflow(module: ModuleType, shown: str, folder: str) -> AnyWorkflow:
    """Return the workflow *module* defines; two names for one object are one workflow."""
    # by type(): isinstance would wake lazy proxies
    held = {value: name for name, value in vars(module).items() if _is_workflow(value)}
    own = {workflow: name for workflow, name in held.items() if _is_own(workflow, module, folder)}
    if len(own) == 1:
        return next(iter(own))
    if own:
        names = " and ".join(sorted(own.values()))
        why = f"defines {len(own)} workflows, {names}; a file has one: give each its own file"
        raise _wrong(shown, why)
    why = "defines no workflow: decorate its function with @define_workflow,"
    if held:
        why = f"defines no workflow ({', '.join(sorted(held.values()))} is another file's):"
    raise _wrong(shown, f"{why} or begin the file's name with _ if it is none")


def _is_workflow(value: object) -> bool:
    return issubclass(type(value), Workflow)


def _is_own(workflow: AnyWorkflow, module: ModuleType, folder: str) -> bool:
    handler = getattr(workflow.handler, "func", workflow.handler)  # of a functools.partial
    made_by = (getattr(handler, "__module__", None), getattr(workflow, "defined_in", None))
    if module.__name__ in made_by:
        return True
    # a factory made it, of a function elsewhere: it is ours unless another file's module holds it
    return not any(
        workflow is value
        for other in list(sys.modules.values())
        if other is not module and (getattr(other, "__file__", None) or "").startswith(folder)
        for value in list(vars(other).values())
    )


def duplicate(same: Sequence[tuple[str, str]]) -> DuplicateWorkflowError:
    """Return the error about files whose workflows have one name: a path and a name for each."""
    paths = [path for path, _ in same]
    names = sorted({name for _, name in same})
    return DuplicateWorkflowError(
        f"{' and '.join(paths)} define workflows of one name, {' and '.join(map(repr, names))}"
        " (names are compared without regard to case, and _ counts as -);"
        " rename a file, or use define_workflow(name=…)",
        path=paths[-1],
        details={"paths": paths},
    )


def _wrong(shown: str, why: str) -> DiscoveryError:
    return DiscoveryError(_printable(f"{shown} {why}"), path=shown)


def _import_error(error: BaseException, shown: str) -> WorkflowImportError:
    """Tell of *error* with the user's own frames only: not ours, not the import machinery's."""
    trace = traceback.TracebackException.from_exception(error)
    pending = [trace]
    while pending:
        one = pending.pop()
        frames = [f for f in one.stack if not f.filename.startswith(_NOT_THE_USERS)]
        one.stack = traceback.StackSummary.from_list(frames)
        pending += filter(None, (one.__cause__, one.__context__, *(one.exceptions or ())))
    last = list(trace.format_exception_only())
    summary = last[-1] if isinstance(error, SyntaxError) else last[0]
    message = f"{shown} cannot be imported: {summary.strip().splitlines()[0][:500]}"
    if isinstance(error, SyntaxError) and error.lineno:
        message += f" (line {error.lineno})"
    return WorkflowImportError(
        _printable(message), path=shown, traceback_text=_printable("".join(trace.format()))
    )


def _printable(text: str) -> str:
    """Replace lone surrogates, which file names may hold and no stream can write."""
    return text.encode("utf-8", "backslashreplace").decode()
