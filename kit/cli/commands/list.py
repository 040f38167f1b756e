"""`kit list`: the workflows of the project, and the files that are wrong."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.screen.table import print_table
from kit.cli.screen.terminal import print_json, report, say

if TYPE_CHECKING:
    from kit.model.workflow import AnyWorkflow
    from kit.project.catalog import Catalog

_HEAD = ("NAME", "FILE", "POLICY", "WHAT IT DOES")


def list_workflows(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the workflows; exit with 1 if a workflow file is wrong."""
    from kit.project.catalog import Catalog
    from kit.project.config import load

    config = load()
    folder = config.get_workflow().folder
    # what a workflow file prints while it is imported is no result of ours
    with contextlib.redirect_stdout(sys.stderr):
        found = Catalog.of(config)
        found.names()
    if as_json:
        print_json(_to_json(found))
    else:
        _print(found, f"{folder} in {config.root}")
    if found.errors:
        raise typer.Exit(1)


def _to_json(found: Catalog) -> dict[str, Any]:
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
        "errors": [error.to_json()["error"] for error in found.errors],
    }


def _print(found: Catalog, where: str) -> None:
    if names := found.names():
        pairs = zip(names, found.workflows(), strict=True)
        rows = [(name, found.paths[name], _policy(each), each.doc) for name, each in pairs]
        print_table(_HEAD, rows)
    for error in found.errors:
        say("")
        report(error, as_json=False)
    if not names and not found.errors:
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
