"""`kit runs show` and `kit runs result`: what is known of one run."""

from __future__ import annotations

from kit.cli.commands.runs.options import AsJson, Local, RunId, runs_meant
from kit.cli.screen.terminal import print_json
from kit.cli.site_runs import SiteRuns


def show(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """Show all that is known of a run: times, input, result, steps, failed attempts."""
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        kept.show(run_id, as_json=as_json)
        return
    from kit.cli.screen.ending import run_json
    from kit.cli.screen.run_page import print_run

    found = run_json(kept, kept.get(run_id))
    if as_json:
        print_json(found)
    else:
        print_run(found)


def result(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """Print what a run returned; exit with 1 if it failed or has not ended."""
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        kept.finish(run_id, as_json=as_json)
        return
    from kit.cli.screen.ending import finish

    finish(kept, run_id, as_json=as_json)
