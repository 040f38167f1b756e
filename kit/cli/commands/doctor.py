"""`kit doctor`: what is missing before workflows run, and what to do about it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kit.cli.options import ApiKey, BaseUrl, Timeout
from kit.cli.screen.terminal import print_json
from kit.model.printable import printable

if TYPE_CHECKING:
    from kit.client.doctor import Check

_MARKS = {True: "ok", False: "not ok", None: "-"}


def doctor(
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    try_store: Annotated[
        bool,
        typer.Option(
            "--try-store",
            help="Have the site try Netlify Blobs' conditional writes, on keys it then removes.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check settings, workflows, what building needs, and the site; no event is sent."""
    from kit.client.doctor import examine

    checks: list[Check] = []
    out = sys.stdout
    # what a workflow file prints while it is imported is no result of ours
    with contextlib.redirect_stdout(sys.stderr):
        found = examine(base_url=base_url, api_key=api_key, timeout=timeout, try_store=try_store)
        for check in found:
            checks.append(check)
            if not as_json:
                out.write(printable(_line(check), keep="\n"))
                out.flush()
    ok = all(check.ok is not False for check in checks)
    if as_json:
        listed = [
            {"name": each.name, "ok": each.ok, "why": each.why, "todo": each.todo}
            for each in checks
        ]
        print_json({"ok": ok, "checks": listed})
    if not ok:
        raise typer.Exit(1)


def _line(check: Check) -> str:
    todo = f"\n        → {check.todo}" if check.todo and not check.ok else ""
    return f"{_MARKS[check.ok]:6}  {check.name}: {check.why}{todo}\n"
