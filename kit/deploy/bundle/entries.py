"""The text of function entries: templates of the runtime, filled with literals."""

from __future__ import annotations

import json
import posixpath
import re
from importlib.resources import files
from string import Template
from typing import Any

from kit.deploy.bundle.plan import Entry, HttpEntry, RecordsEntry, WorkflowEntry, WorkflowFacts
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
    template, given = _template_of(entry)
    text = _filled(template, {**shared, **given})
    if bool(WORKLOAD.search(text)) is not isinstance(entry, WorkflowEntry):
        msg = f"the entry {entry.file} would be taken for the wrong kind of function"
        raise BuildError(msg)
    return text


def _template_of(entry: Entry) -> tuple[str, dict[str, str]]:
    if isinstance(entry, HttpEntry):
        given = {"NAME": _literal(entry.module.name), "PATH": _literal(entry.module.route)}
        return "entry-http.mjs.txt", given
    if isinstance(entry, RecordsEntry):
        kind = entry.name.removeprefix("kit-")
        return f"entry-{kind}.mjs.txt", {
            "DAYS": _literal(entry.days),
            "HOMES": _literal(entry.homes),
        }
    if entry.settings.store == "blobs":
        return "entry-recorded.mjs.txt", _of_recorded(entry)
    return "entry-workflow.mjs.txt", _of_workflows(entry)


def _sources(entry: Entry) -> list[str]:
    if isinstance(entry, HttpEntry):
        return [entry.module.path]
    if isinstance(entry, RecordsEntry):
        return []
    return [workflow.path for workflow in entry.workflows]


def _of_workflows(entry: WorkflowEntry) -> dict[str, str]:
    return {
        "EVENTS": _literal([workflow.name for workflow in entry.workflows]),
        "MAX_RETRIES": _literal(entry.settings.max_retries),
        "BACKOFF": _literal(_backoff_of(entry.settings)),
    }


def _of_recorded(entry: WorkflowEntry) -> dict[str, str]:
    known = [
        {
            "name": workflow.name,
            "maxRetries": workflow.max_retries,
            "backoff": _backoff_of(workflow),
            "timeout": workflow.timeout,
        }
        for workflow in entry.workflows
    ]
    return {
        "EVENTS": _literal([workflow.name for workflow in entry.workflows]),
        "WORKFLOWS": _literal(known),
    }


def _backoff_of(workflow: WorkflowFacts) -> list[int]:
    """Return how long to wait after each attempt but the last, in milliseconds."""
    if workflow.backoff is not None:
        return list(workflow.backoff)
    return [to_milliseconds(wait) for wait in RetryPolicy(workflow.max_retries).schedule()]


def _filled(template: str, given: dict[str, str]) -> str:
    source = files("kit.deploy.function").joinpath("runtime", template).read_text(encoding="utf-8")
    return Template(source).substitute(given)


def _literal(value: Any) -> str:
    """Return *value* as JavaScript that is read without being run."""
    return json.dumps(value)
