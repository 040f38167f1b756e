"""`kit runs stop`: the end of a run that goes on, here or on a site."""

from __future__ import annotations

from kit.cli.commands.runs.options import AsJson, Local, RunId, answer, runs_meant
from kit.cli.site_runs import SiteRuns


def stop(run_id: RunId, local: Local = False, as_json: AsJson = False) -> None:
    """End a run: at once if it waits, at its next step or sleep if it is running."""
    kept = runs_meant(local=local)
    if isinstance(kept, SiteRuns):
        kept.stop(run_id, as_json=as_json)
        return
    from kit.cli.screen.times import now
    from kit.model.errors import StoreInUseError
    from kit.store.sqlite.direct import cancel, request_stop
    from kit.store.sqlite.lease import Lease

    run = kept.get(run_id)
    if run.status.is_final:
        answer(kept, run, f"run {run.id} had already ended: it is {run.status}", as_json)
        return
    request_stop(kept.path, run.id, now())  # from here on it is stopped, whoever dies
    try:
        with Lease(kept.path):
            executed = any(row.driver in kept.living() for row in kept.left([run.id]))
            if not executed:
                cancel(kept.path, run.id, now())
                answer(kept, kept.get(run.id), f"run {run.id} is cancelled", as_json)
                return
        who = "the process that executes it"
    except StoreInUseError as error:
        who = f"process {error.pid}, which drives the runs,"
    said = f"asked {who} to stop run {run.id}: at once if it waits, else at its next step"
    answer(kept, run, said, as_json)
