"""Workflows as people and programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.cli.screen.table import print_table
from kit.cli.screen.terminal import report, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kit.model.errors import DiscoveryError
    from kit.model.workflow import AnyWorkflow
    from kit.project.catalog import Catalog

_HEAD = ("NAME", "FILE", "POLICY", "WHAT IT DOES")


def workflows_json(found: Catalog, errors: Sequence[DiscoveryError]) -> dict[str, Any]:
    """Return workflows and errors as JSON."""
    return {
        "workflows": [
            {
                "name": workflow.event_name,
                "path": found.paths[workflow.event_name],
                "description": workflow.doc,
                "timeout": workflow.timeout.total_seconds() if workflow.timeout else None,
                "maxRetries": workflow.retry.max_retries,
                "background": workflow.background,
                "checkpoints": workflow.checkpoints,
            }
            for workflow in found.workflows()
        ],
        "errors": [error.to_json()["error"] for error in errors],
    }


def print_workflows(found: Catalog, errors: Sequence[DiscoveryError], where: str) -> None:
    """Print a table of workflows, and what is wrong with files; *where* tells where they are."""
    if names := found.names():
        pairs = zip(names, found.workflows(), strict=True)
        rows = [(name, found.paths[name], _policy(each), each.doc) for name, each in pairs]
        print_table(_HEAD, rows)
    for error in errors:
        say("")
        report(error, as_json=False)
    if not names and not errors:
        say(f"There are no workflows: looked for Python files in {where}.")
        say("Begin with: kit init DIR")


def _policy(workflow: AnyWorkflow) -> str:
    """Say what is to be known of a policy, in words."""
    retries = workflow.retry.max_retries
    words = ["1 retry" if retries == 1 else f"{retries} retries"]
    if workflow.timeout is not None:
        words.append(f"timeout {workflow.timeout}")
    if workflow.background:
        words.append("background")
    if workflow.checkpoints != "each":
        words.append("checkpoints gathered")
    return ", ".join(words)
