"""
The workflows at hand: which one answers to a name, and what is wrong with a file that should.

Names are compared without regard to case, as Netlify does. Files are looked for once, when
somebody first asks; what a program defines elsewhere and starts itself is admitted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kit.model.errors import DiscoveryError, WorkflowNotFoundError
from kit.model.workflow import AnyWorkflow
from kit.project.loading import loading

if TYPE_CHECKING:
    from pathlib import Path

    from kit.project.config import Config
    from kit.project.discovery import Discovery


class Catalog:
    """
    The workflows of a project, by the name of the event that starts each.

    *discover* finds those that have files; without it there are none but those admitted. Any
    number of threads may use one catalog.
    """

    def __init__(
        self, discover: Callable[[], Discovery] | None = None, *, folder: Path | None = None
    ) -> None:
        self._discover = discover
        self._folder = folder
        self._discovery: Discovery | None = None
        self._admitted: dict[str, AnyWorkflow] = {}
        self._lock = threading.RLock()  # a workflow file may ask for workflows while it is found

    @classmethod
    def of(cls, config: Config) -> Catalog:
        """Return the catalog of the project the settings describe."""

        def discover() -> Discovery:
            from kit.project.discovery import discover

            return discover(config.folder, root=config.root)

        return cls(discover, folder=config.folder if config.enabled else None)

    def begin_afresh(self) -> None:
        """Let a forked child use it, whatever threads its parent had in here."""
        self._lock = threading.RLock()

    @property
    def errors(self) -> tuple[DiscoveryError, ...]:
        """What is wrong with files, in order of path."""
        return self._found().errors

    @property
    def paths(self) -> Mapping[str, str]:
        """The files of workflows by their names, relative to the project's root."""
        return self._found().paths

    def admit(self, workflow: AnyWorkflow) -> None:
        """Make a definition known that was not found by file; it comes before one that was."""
        self._admitted[workflow.event_name.lower()] = workflow

    def check_annotations(self) -> tuple[DiscoveryError, ...]:
        """Return an error for each workflow whose input could never be checked."""
        from kit.model.annotations import check_annotation

        found = []
        for name, workflow in self._found().workflows.items():
            try:
                check_annotation(workflow)
            except TypeError as error:
                found.append(annotation_error(self.paths[name], error))
        return tuple(found)

    def workflows(self) -> list[AnyWorkflow]:
        """Return every workflow, sorted by name."""
        return sorted(self._by_name().values(), key=lambda workflow: workflow.event_name)

    def names(self) -> tuple[str, ...]:
        """Return every name as it was given, sorted."""
        return tuple(workflow.event_name for workflow in self.workflows())

    def find(self, name: str) -> AnyWorkflow | None:
        """Return the workflow called *name*, in any case, or None."""
        key = name.lower()
        return self._admitted.get(key) or self._found().by_name.get(key)

    def get(self, name: str) -> AnyWorkflow:
        """
        Return the workflow called *name*, in any case.

        Raises:
            DiscoveryError: If the file that should define it is wrong: the file's own error.
            WorkflowNotFoundError: If there is none; it lists the known names and the nearest one.
        """
        workflow = self.find(name)
        if workflow is not None:
            return workflow
        if error := self._found().broken.get(name.lower()):
            raise error.with_traceback(None)  # it may be raised many times
        raise WorkflowNotFoundError(_not_found(name, self.names()), known=self.names())

    def refuse_imports(self) -> None:
        """
        Refuse whoever wants runs or workflows while a workflow file is being imported for it.

        Raises:
            DiscoveryError: If this thread imports one: it would wait for itself, for ever.
        """
        from kit.project.underway import being_imported

        found = being_imported(self._folder) if self._folder else None
        if found is not None:
            file, line = found
            msg = (
                f"{file} line {line} starts or asks for runs while the file is imported, and would"
                " wait for itself: do that inside a function"
            )
            raise DiscoveryError(msg, path=str(file))

    def _by_name(self) -> dict[str, AnyWorkflow]:
        return {**self._found().by_name, **self._admitted}

    def _found(self) -> Discovery:
        with self._lock:
            found = self._discovery
        if found is None:
            with loading(), self._lock:
                if self._discovery is None:
                    self._discovery = self._discover() if self._discover else _nothing()
                found = self._discovery
        return found


def annotation_error(path: str, error: TypeError) -> DiscoveryError:
    """Return what is wrong with a workflow's file whose input has an annotation of no use."""
    return DiscoveryError(f"{path}: its input cannot be checked: {error}", path=path)


def _nothing() -> Discovery:
    from kit.project.discovery import Discovery

    return Discovery()


def _not_found(name: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"no workflow is called {name!r}: there are none"
    import difflib  # only mistakes need it

    spelled = {one.lower(): one for one in known}
    nearest = difflib.get_close_matches(name.lower(), spelled, n=1)
    hint = f"; did you mean {spelled[nearest[0]]!r}?" if nearest else "."
    return f"no workflow is called {name!r}{hint} There are: {', '.join(known)}"
