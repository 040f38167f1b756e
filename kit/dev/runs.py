"""
What the dashboard and the runs API see of runs, wherever they are: here, or on a deployed site.

`Runs` is the one seam: pages and addresses are written against it, and know no engine and no site.
`kit.dev.dashboard.routes.routes(runs, *, token)` returns the pages as Starlette routes relative to
`/_kit`; `app` mounts them there, and refuses below it whatever is no GET or HEAD and does not bring
the token: as the header `x-kit-token`, or as the field `token` of a form.

Times are milliseconds since the epoch; `text`, `data` and `result` are JSON texts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from kit.model.run import RunDetails, RunStatus

PREVIEW = 200
"""Characters of a run's data that a list shows; a list never reads values of a megabyte."""


@dataclass(frozen=True, slots=True)
class Summary:
    """
    A run as a list shows it.

    `preview` is the beginning of its data, `PREVIEW` characters of JSON at most. `error` is what it
    failed with, in one line. `due` is when it goes on by itself, while it is queued or sleeping.
    """

    id: str
    workflow: str
    status: RunStatus
    created: int
    started: int | None = None
    ended: int | None = None
    due: int | None = None
    attempt: int = 0
    priority: int = 0
    preview: str = ""
    error: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """
    Runs, newest first. `cursor` asks for the page of older ones; None on the last page.

    `total` counts all that match, where that is cheap to know; else None.
    """

    runs: tuple[Summary, ...] = ()
    cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line a workflow has logged. `level` is `INFO` and the like."""

    at: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class BegunStep:
    """A step that has begun in the current attempt and has no checkpoint yet."""

    step_id: str
    started: int


@dataclass(frozen=True, slots=True)
class Details(RunDetails):
    """
    All that is known of a run: `run`, `checkpoints` in order and failed `attempts`, as everywhere;
    and what only the process that drives it knows: the latest `logs`, steps that have `begun`, and
    what steps were `given`, by step id: the call each has made, cut where it is long.
    """

    logs: tuple[LogLine, ...] = ()
    begun: tuple[BegunStep, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """
    A workflow as its file defines it; or a file that is wrong: then `error` says what is.

    `file` is relative to the project. `backoff` and `timeout` are said in words. `schema` is the
    JSON Schema of the input; None if it has none, because the handler takes no input or any.
    `is_stale` says that the file is wrong and its last good version is in use.
    """

    name: str
    file: str = ""
    doc: str = ""
    retries: int = 0
    backoff: str = ""
    timeout: str | None = None
    schedule: str | None = None
    is_background: bool = False
    takes_input: bool = True
    schema: Mapping[str, Any] | None = None
    error: str | None = None
    traceback: str = ""
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """
    What has changed since the last one: these `runs`, or so many that all must be looked at again.

    `workflows` says that files were loaded anew; `source`, that another process drives now.
    """

    runs: frozenset[str] = frozenset()
    is_everything: bool = False
    workflows: bool = False
    source: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where the runs are: `place` is a file's path or a site's origin.

    `driver` is the id of another process that drives them, if one does: what is asked for here is
    then done by that one. `trouble` says why nothing can be stored now, such as a full disk.
    """

    kind: Literal["local", "site"]
    place: str
    driver: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do; what it cannot is not offered."""

    start: bool = True
    stop: bool = True
    retry: bool = True
    retry_from_start: bool = True
    delete: bool = True
    logs: bool = True
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why something cannot be done, by its name here."""


class Runs(Protocol):
    """A source of runs. Every method may raise a `WorkflowError` whose message is for people."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be done here, now."""

    @property
    def source(self) -> Source:
        """Where the runs are, now."""

    async def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """
        Return runs, newest first: of one workflow, in some statuses, with a text in them.

        *text* is looked for in ids, names, keys, data, results and errors.

        Raises:
            ValueError: If *cursor* is none that a page gave.
        """

    async def details(self, run_id: str) -> Details | None:
        """Return all that is known of a run; None if there is none of that id."""

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        """
        Start a workflow and return its run's id; *id* is an idempotency key.

        Raises:
            WorkflowNotFoundError: If there is none; it lists the known names.
            PayloadError: If *data* is invalid; `details` may name the fields.
        """

    async def stop(self, run_id: str) -> bool:
        """End a run at its next step or sleep; False if it had ended. Raises `RunNotFoundError`."""

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        """
        Run an ended run again, from its last finished step or from the start; False if it has not
        ended. Raises `RunNotFoundError`.
        """

    async def delete(self, run_id: str) -> bool:
        """Delete an ended run; False if it has not ended. Raises `RunNotFoundError`."""

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return the workflows by name, those whose files are wrong among them."""

    def changes(self) -> AsyncIterator[Change]:
        """
        Yield what changes from now on, at most a few times a second however much happens.

        Whoever is slow misses nothing: what gathers meanwhile comes as one change.
        """
