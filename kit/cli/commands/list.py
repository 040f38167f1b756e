"""`kit list`: the workflows of the project, and the files that are wrong."""

from __future__ import annotations

import contextlib
import sys

import typer

from kit.cli.screen.terminal import print_json


def list_workflows(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the workflows; exit with 1 if a workflow file is wrong."""
    from kit.cli.screen.workflows_view import print_workflows, workflows_json
    from kit.project.catalog import Catalog
    from kit.project.config import load

    config = load()
    folder = config.get_workflow().folder
    # what a workflow file prints while it is imported is no result of ours
    with contextlib.redirect_stdout(sys.stderr):
        found = Catalog.of(config)
        errors = sorted((*found.errors, *found.check_annotations()), key=lambda each: each.path)
    if as_json:
        print_json(workflows_json(found, errors))
    else:
        print_workflows(found, errors, f"{folder} in {config.root}")
    if errors:
        raise typer.Exit(1)
