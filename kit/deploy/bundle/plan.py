"""
Workflows and HTTP modules to function entries: which there are, what each serves, how it is called.

Pure: from what was found to what is to be written. A function's name depends on its own settings
only, never on what else there is: Netlify routes the retries of a run by that name, and a run
under way must find its function again after the next deploy.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from kit.model.errors import BuildError
from kit.model.retry import DEFAULT_MAX_RETRIES
from kit.model.workflow import StoreName

Grouping = Literal["shared", "per-workflow"]

BACKGROUND = "-background"
"""How a function's name ends if it may run for 15 minutes: Netlify and its library go by it."""

MAX_NAME = 60
"""Characters of a function's name: Lambda takes 64, and Netlify says nothing of its own limit."""

RETENTION_DAYS = 30
"""How long ended runs are kept if no setting says it: as long as Netlify keeps dead letters."""

API_PATH = "/api"
_PLAIN = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_MISLEADING = re.compile(rf"({BACKGROUND}|-[0-9a-f]{{8}}|^[0-9a-f]{{8}})$")
_DIGEST = 8
_DAY = 86_400_000  # milliseconds
_PART = re.compile(r"[A-Za-z0-9_.~-]+")
_PARAMETER = re.compile(r"\[([A-Za-z_][A-Za-z0-9_]*)\]")


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """
    What there is to know of a workflow to deploy it. `backoff` and `timeout` are in milliseconds.

    `store` is None where the settings say it. `backoff_problems` tells what a backoff that is a
    function did instead of saying a wait; `backoff` has the default there.
    """

    name: str
    path: str
    max_retries: int = DEFAULT_MAX_RETRIES
    backoff: tuple[int, ...] | None = None
    background: bool = False
    timeout: int | None = None
    store: StoreName | None = None
    backoff_problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpModule:
    """A module that answers HTTP requests: its name below the folder, its file, its URL path."""

    name: str
    path: str
    route: str


@dataclass(frozen=True, slots=True)
class WorkflowEntry:
    """A function that serves workflows of equal settings."""

    name: str
    workflows: tuple[WorkflowFacts, ...]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.mjs"

    @property
    def settings(self) -> WorkflowFacts:
        """The first of its workflows, for the settings all of them share."""
        return self.workflows[0]

    @property
    def about(self) -> str:
        """What it serves, for messages."""
        names = ", ".join(workflow.name for workflow in self.workflows)
        return f"workflow{'s' if len(self.workflows) > 1 else ''} {names}"


@dataclass(frozen=True, slots=True)
class HttpEntry:
    """A function that answers one URL path."""

    name: str
    module: HttpModule

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.mjs"

    @property
    def about(self) -> str:
        """What it serves, for messages."""
        return self.module.path


@dataclass(frozen=True, slots=True)
class RecordsEntry:
    """
    A function that sees to the records of runs, all of JavaScript; *days* is their retention.

    *homes* are the functions of workflows with records, by name in lower case.
    """

    name: Literal["kit-runs", "kit-retention"]
    days: float = RETENTION_DAYS
    homes: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.mjs"

    @property
    def about(self) -> str:
        """What it serves, for messages."""
        return "the runs API" if self.name == "kit-runs" else "the end of old runs"


Entry = WorkflowEntry | HttpEntry | RecordsEntry


def plan(
    workflows: Iterable[WorkflowFacts],
    modules: Iterable[HttpModule],
    grouping: Grouping,
    *,
    retention: int | None = None,
) -> tuple[Entry, ...]:
    """
    Return the entries to be written, sorted by name. *retention*, in milliseconds, is how long runs
    that have ended are kept where they have a record.

    Raises:
        BuildError: If two of them would have one name, or two modules one URL path.
    """
    modules = list(modules)
    _check_routes(modules)
    by_name: dict[str, list[WorkflowFacts]] = {}
    owners: dict[str, str] = {}
    for workflow in sorted(workflows, key=lambda workflow: workflow.name):
        name = shared_name(workflow) if grouping == "shared" else own_name(workflow)
        by_name.setdefault(name, []).append(workflow)
        if grouping == "per-workflow":
            _claim(owners, name, workflow.path)
    entries: list[Entry] = [WorkflowEntry(name, tuple(same)) for name, same in by_name.items()]
    for module in modules:
        entry = HttpEntry(http_name(module), module)
        _claim(owners, entry.name, module.path)
        entries.append(entry)
    homes = {
        workflow.name.lower(): name
        for name, same in by_name.items()
        for workflow in same
        if workflow.store == "blobs"
    }
    if homes:
        days = RETENTION_DAYS if retention is None else retention / _DAY
        entries += [RecordsEntry("kit-runs", homes=homes), RecordsEntry("kit-retention", days)]
    return tuple(sorted(entries, key=lambda entry: entry.name))


def shared_name(workflow: WorkflowFacts) -> str:
    """Return the name of the function that serves all workflows with this one's settings."""
    if workflow.store == "blobs":  # its retries are seen to in the record
        return "kit-workflows-blobs" + (BACKGROUND if workflow.background else "")
    settings = (workflow.max_retries, workflow.backoff)
    name = "kit-workflows"
    if settings != (DEFAULT_MAX_RETRIES, None):
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        name += f"-{digest[:8]}"
    return name + (BACKGROUND if workflow.background else "")


def own_name(workflow: WorkflowFacts) -> str:
    """Return the name of the function that serves this workflow alone."""
    suffix = "-blobs" if workflow.store == "blobs" else ""
    suffix += BACKGROUND if workflow.background else ""
    return _function_name("kit-workflow-", workflow.name.lower(), suffix)


def http_name(module: HttpModule) -> str:
    """Return the name of the function that serves *module*."""
    return _function_name("kit-api-", module.name, "")


def http_module(path: PurePosixPath, folder: PurePosixPath) -> HttpModule:
    """
    Return what the file at *path* answers to: `api/users/[id].py` to `/api/users/:id`.

    Raises:
        BuildError: If its name gives no URL path.
    """
    parts = path.relative_to(folder).with_suffix("").parts
    segments = []
    for part in parts:
        parameter = _PARAMETER.fullmatch(part)
        if parameter is None and not _PART.fullmatch(part):
            msg = (
                f"{path}: {part!r} gives no URL path. Use letters, digits, - and _;"
                " [name] stands for a parameter"
            )
            raise BuildError(msg)
        segments.append(f":{parameter[1]}" if parameter else part)
    return HttpModule("/".join(parts), str(path), "/".join((API_PATH, *segments)))


def _function_name(prefix: str, name: str, suffix: str) -> str:
    """
    Return a function's name that no other *name* leads to, of at most `MAX_NAME` characters.

    A plain name stays as it is. Any other has a digest of all of it, and so have plain names that
    look as if they had one, or that Netlify would take for background functions.
    """
    longest = MAX_NAME - len(prefix) - len(suffix)
    is_plain = _PLAIN.fullmatch(name) and not _MISLEADING.search(name)
    if is_plain and len(name) <= longest:
        return f"{prefix}{name}{suffix}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[: longest - _DIGEST - 1].strip("-")
    return f"{prefix}{slug}-{digest}{suffix}" if slug else f"{prefix}{digest}{suffix}"


def _claim(owners: dict[str, str], name: str, path: str) -> None:
    # without regard to case: macOS and Windows keep one file for both
    other = owners.setdefault(name.lower(), path)
    if other != path:
        msg = f"{other} and {path} would both become the function {name}: rename one of them"
        raise BuildError(msg, details={"paths": [other, path]})


def _check_routes(modules: Sequence[HttpModule]) -> None:
    known: dict[str, HttpModule] = {}
    for module in modules:
        shape = re.sub(r":[^/]+", ":", module.route)
        other = known.setdefault(shape.lower(), module)
        if other is not module:
            msg = f"{other.path} and {module.path} both answer {module.route}: rename one of them"
            raise BuildError(msg, details={"paths": [other.path, module.path]})
