"""The text of function entries: templates of the runtime, filled with literals."""

from __future__ import annotations

import json
import posixpath
import re
from importlib.resources import files
from string import Template
from typing import Any

from kit.deploy.bundle.plan import Entry, HttpEntry, WorkflowEntry
from kit.model.duration import to_milliseconds
from kit.model.errors import BuildError
from kit.model.retry import RetryPolicy

BUNDLE = ".kit/bundle"
"""Where the bundle is, relative to the project's folder."""

WORKLOAD = re.compile(r"export\sconst\sasyncWorkloadConfig")
"""What the Async Workloads extension looks for in the text of every file."""


def text_of(entry: Entry, folder: str) -> str:
    """
    Return the text of *entry* in the functions' folder *folder*.

    Raises:
        BuildError: If Netlify would take it for what it is not.
    """
    bundle = posixpath.relpath(BUNDLE, folder)
    shared = {
        "SOURCE": ", ".join(_sources(entry)),
        "RUNTIME": f"{bundle}/runtime",
        "INCLUDED": _literal([f"{bundle}/**"]),
    }
    if isinstance(entry, HttpEntry):
        given = {"NAME": _literal(entry.module.name), "PATH": _literal(entry.module.route)}
        text = _filled("entry-http.mjs.txt", {**shared, **given})
    else:
        text = _filled("entry-workflow.mjs.txt", {**shared, **_of_workflows(entry)})
    if bool(WORKLOAD.search(text)) is isinstance(entry, HttpEntry):
        msg = f"the entry {entry.file} would be taken for the wrong kind of function"
        raise BuildError(msg)
    return text


def _sources(entry: Entry) -> list[str]:
    if isinstance(entry, HttpEntry):
        return [entry.module.path]
    return [workflow.path for workflow in entry.workflows]


def _of_workflows(entry: WorkflowEntry) -> dict[str, str]:
    settings = entry.settings
    backoff = settings.backoff
    if backoff is None:
        waits = RetryPolicy(settings.max_retries).schedule()
        backoff = tuple(to_milliseconds(wait) for wait in waits)
    return {
        "EVENTS": _literal([workflow.name for workflow in entry.workflows]),
        "MAX_RETRIES": _literal(settings.max_retries),
        "BACKOFF": _literal(list(backoff)),
    }


def _filled(template: str, given: dict[str, str]) -> str:
    source = files("kit.deploy.function").joinpath("runtime", template).read_text(encoding="utf-8")
    return Template(source).substitute(given)


def _literal(value: Any) -> str:
    """Return *value* as JavaScript that is read without being run."""
    return json.dumps(value)
