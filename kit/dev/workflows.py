"""
The project's workflows while their files are being changed: the last good version of each counts.

A file that cannot be used any more is shown with what is wrong, and what it last defined stays in
use; a file that is deleted takes its workflow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from kit.dev.runs import WorkflowInfo
from kit.model.errors import DiscoveryError, PayloadError, WorkflowError, WorkflowImportError
from kit.model.retry import RetryPolicy
from kit.model.workflow import AnyWorkflow, input_parameter
from kit.project.catalog import Catalog
from kit.project.discovery import Discovery, name_of
from kit.project.schemas import input_schema


class LiveWorkflows(Catalog):
    """The catalog of what *discover* finds, which may be asked again at any time."""

    def __init__(self, discover: Callable[[], Discovery]) -> None:
        super().__init__()
        self._look = discover
        self._by_path: dict[str, AnyWorkflow] = {}
        self._infos: tuple[WorkflowInfo, ...] = ()
        self.failure: WorkflowError | None = None
        """Why nothing could be loaded at all, such as settings that are wrong."""

    def load(self) -> None:
        """
        Look at the files again. Wrong ones raise nothing here.

        It takes as long as their imports do, so it is called from a thread; what others find
        meanwhile is what was loaded before.
        """
        try:
            found = self._look()
        except WorkflowError as error:
            self.failure = error
            return
        self.failure = None
        good = {found.paths[name]: each for name, each in found.workflows.items()}
        wrong = _wrong_paths(found)
        kept = {path: each for path, each in self._by_path.items() if path in wrong}
        self._infos = _infos({**kept, **good}, wrong, found)
        self._by_path = {**kept, **good}
        self._discovery = _with(kept, found)

    def admit(self, workflow: AnyWorkflow) -> None:
        """Make a definition known that no file defines: of what files say, the latest counts."""
        if self.find(workflow.event_name) is None:
            super().admit(workflow)

    def infos(self) -> tuple[WorkflowInfo, ...]:
        """Return what there is to know of each, those whose files are wrong among them."""
        return self._infos


def _with(kept: Mapping[str, AnyWorkflow], found: Discovery) -> Discovery:
    """Return *found*, and what is *kept* of files that are wrong; a good file goes before these."""
    names = {each.event_name: path for path, each in kept.items()}
    names = {name: path for name, path in names.items() if name.lower() not in found.by_name}
    return found._replace(
        workflows={**{name: kept[path] for name, path in names.items()}, **found.workflows},
        paths={**names, **found.paths},
    )


def _wrong_paths(found: Discovery) -> dict[str, DiscoveryError]:
    """Return the error of each wrong file; two files of one name are both."""
    return {
        path: error for error in found.errors for path in error.details.get("paths", (error.path,))
    }


def _infos(
    by_path: dict[str, AnyWorkflow], wrong: dict[str, DiscoveryError], found: Discovery
) -> tuple[WorkflowInfo, ...]:
    names = {error.path: name for name, error in found.broken.items()}
    infos = [info_of(workflow, path) for path, workflow in by_path.items()]
    known = {info.file: info for info in infos}
    for path, error in wrong.items():
        stale = known.get(path)
        name = names.get(path) or _name_by(path)
        base = replace(stale, is_stale=True) if stale else WorkflowInfo(name, path)
        known[path] = replace(base, error=error.message, traceback=_traceback(error))
    return tuple(sorted(known.values(), key=lambda info: (info.name, info.file)))


def _name_by(path: str) -> str:
    return name_of(PurePosixPath(PurePosixPath(path).name))


def _traceback(error: DiscoveryError) -> str:
    return error.traceback_text or "" if isinstance(error, WorkflowImportError) else ""


def info_of(workflow: AnyWorkflow, path: str) -> WorkflowInfo:
    """Return what there is to know of *workflow*, which the file at *path* defines."""
    return WorkflowInfo(
        name=workflow.event_name,
        file=path,
        doc=workflow.doc,
        retries=workflow.retry.max_retries,
        backoff=_backoff(workflow.retry),
        timeout=None if workflow.timeout is None else span(workflow.timeout),
        is_background=workflow.background,
        takes_input=input_parameter(workflow.handler) is not None,
        schema=_schema(workflow),
    )


def _schema(workflow: AnyWorkflow) -> dict[str, Any] | None:
    if input_parameter(workflow.handler) is None:
        return None
    try:
        return input_schema(workflow)
    except PayloadError:
        return None


def _backoff(policy: RetryPolicy) -> str:
    problems: list[str] = []
    waits: Sequence[timedelta] = policy.schedule(problems.append)[:6]
    more = ", …" if policy.max_retries > len(waits) else ""
    wrong = f"; {problems[0]}" if problems else ""
    return ", ".join(map(span, waits)) + more + wrong


def span(length: timedelta) -> str:
    """Return a length of time in words: `5 s`, `2 min 5 s`."""
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count:g} {unit}"] if count else []
    parts += [f"{seconds:g} s"] if seconds else []
    return " ".join(parts[:2])
