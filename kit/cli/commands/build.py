"""`kit build`: the functions Netlify deploys, and the Python they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kit.cli.screen.build_progress import build_progress
from kit.cli.screen.terminal import print_json, print_line, say

if TYPE_CHECKING:
    from kit.deploy.bundle.options import BuildOptions
    from kit.deploy.bundle.report import Report


def build(
    report: bool = typer.Option(
        False, "--report", help="Show size by package and import time by workflow."
    ),
    check: bool = typer.Option(
        False, "--check", help="Write no functions, and take a warning for an error."
    ),
    python: str | None = typer.Option(
        None, "--python", help="`running`: bundle this machine's own interpreter."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Build the functions: find what is wrong before it is deployed, write what Netlify needs."""
    from kit.deploy.bundle.build import build, clear
    from kit.deploy.bundle.options import BuildOptions
    from kit.project.config import load
    from kit.project.environment import environ_without_keys

    if python not in (None, "running"):
        msg = "--python takes `running` only; a version is set as workflow.python in kit.yaml"
        raise typer.BadParameter(msg)
    with build_progress() as observe:
        config = load()
        options = BuildOptions(
            config,
            environ_without_keys(),
            use_running=python == "running",
            check=check,
            measure=report,
            observe=observe,
        )
        if not config.enabled:
            _say_off(options, clear(options), as_json=as_json)
            return
        built = build(options)
    _print(built, detailed=report, as_json=as_json)


def _say_off(options: BuildOptions, removed: list[str], *, as_json: bool) -> None:
    origin = options.config.origins["workflow"]
    if as_json:
        print_json({"disabled": str(origin), "functions": [], "changed": removed})
    else:
        say(f"workflows are switched off ({origin}): nothing is built")


def _print(built: Report, *, detailed: bool, as_json: bool) -> None:
    if as_json:
        print_json(built.to_json())
        return
    for finding in built.findings:
        say(f"{finding.level}: {finding.text}")
    lines = [*built.summary(), *(["", *built.details()] if detailed else [])]
    for line in lines:
        print_line(line)
