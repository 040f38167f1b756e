"""`kit runs` on a deployed site: its runs API, asked one question after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from kit.cli.screen.terminal import print_json, say

if TYPE_CHECKING:
    from kit.model.errors import WorkflowError
    from kit.model.run import RunStatus
    from kit.netlify.flow import Flow
    from kit.netlify.site import Site

T = TypeVar("T")


class SiteRuns:
    """The runs of *site*, for commands; raises what `RunsApi` does."""

    def __init__(self, site: Site) -> None:
        from kit.netlify.runs import RunsApi

        self.origin = site.origin
        self._api = RunsApi(site)

    def print_list(self, statuses: Sequence[RunStatus], limit: int, *, as_json: bool) -> None:
        """Print the latest runs, newest first."""
        from kit.cli.screen.runs_table import print_listed

        found = self._do(self._api.latest(statuses=statuses, limit=limit + 1))
        if as_json:
            print_json(found[:limit])
            return
        if not found:
            say(f"no such runs at {self.origin}" if statuses else f"no runs yet at {self.origin}")
            return
        print_listed(found[:limit])
        if len(found) > limit:
            say(f"… only the latest {limit}; --limit shows more")

    def show(self, run_id: str, *, as_json: bool) -> None:
        """Print all that is known of a run."""
        from kit.cli.screen.run_page import print_run

        found = self._shown(run_id)
        if as_json:
            print_json(found)
        else:
            print_run(found)

    def finish(self, run_id: str, *, as_json: bool) -> None:
        """Print what came of a run; exits with 1 unless it has completed."""
        from kit.cli.screen.ending import say_why
        from kit.model.run import RunStatus
        from kit.netlify.run_json import run_of

        found = self._shown(run_id)
        run = run_of(found)
        is_completed = run.status is RunStatus.COMPLETED
        if as_json:
            print_json(found)
        elif is_completed:
            print_json(found["result"])
        else:
            say_why(run, len(found["attempts"]), f"kit runs retry {run.id}")
        if not is_completed:
            raise typer.Exit(1)

    def stop(self, run_id: str, *, as_json: bool) -> None:
        """End a run, and say so."""
        whole = self._whole(run_id)
        if self._do(self._api.stop(whole)):
            said = f"asked {self.origin} to stop run {whole}: at once if it waits, else at its"
            self._answer(whole, f"{said} next step", as_json)
        else:
            self._answer(whole, f"run {whole} had already ended", as_json)

    def retry(self, run_id: str, *, from_start: bool, as_json: bool) -> None:
        """Have an ended run begin again there, and say so."""
        whole = self._whole(run_id)
        if not self._do(self._api.retry(whole, from_start=from_start)):
            raise _not_ended(whole, "stop it first, or wait for its end")
        self._answer(whole, f"run {whole} is queued again: kit runs show {whole}", as_json)

    def delete_named(self, run_ids: Sequence[str], *, yes: bool) -> list[str]:
        """Delete ended runs, after asking."""
        whole = [self._whole(run_id) for run_id in run_ids]
        return self._deleted(whole, yes=yes)

    def delete_many(
        self, statuses: Sequence[RunStatus], before: int | None, *, yes: bool
    ) -> list[str]:
        """Delete runs that have ended in one of *statuses*, *before* a moment, after asking."""
        from kit.model.run import RunStatus

        wanted = [it for it in (statuses or RunStatus) if it.is_final]
        if not wanted:
            return []
        found = self._do(self._api.latest(statuses=wanted, limit=1_000_000))
        chosen = [each["id"] for each in found if before is None or each["endedAt"] < before]
        return self._deleted(chosen, yes=yes)

    def _deleted(self, ids: Sequence[str], *, yes: bool) -> list[str]:
        if not ids:
            return []
        if not yes:
            what = "1 run" if len(ids) == 1 else f"{len(ids)} runs"
            typer.confirm(f"Delete {what} of {self.origin}?", abort=True, err=True)
        for run_id in ids:
            if not self._do(self._api.delete(run_id)):
                raise _not_ended(run_id, f"stop it first: kit runs stop {run_id}")
        return list(ids)

    def _shown(self, run_id: str) -> Any:
        return self._do(self._api.show(self._whole(run_id)))

    def _answer(self, run_id: str, said: str, as_json: bool) -> None:
        say(said)
        if as_json:
            print_json(self._do(self._api.show(run_id)))

    def _whole(self, run_id: str) -> str:
        """Return the id that *run_id* is, or of the one recent run whose id begins with it."""
        from kit.model.errors import RunNotFoundError
        from kit.netlify.runs import MOST, checked

        try:
            return checked(run_id)
        except RunNotFoundError:
            if not run_id:  # every id begins so
                msg = "an id is needed, or its first characters, not ''; `kit runs` lists them"
                raise RunNotFoundError(msg, run_id=run_id) from None
            recent = self._do(self._api.latest(limit=MOST))
        found = [each["id"] for each in recent if each["id"].startswith(run_id.lower())]
        if len(found) == 1:
            return str(found[0])
        what = "several of the latest runs have" if found else "none of the latest runs has"
        msg = (
            f"{what} an id that begins with {run_id[:100]!r} at {self.origin}; `kit runs` lists"
            " them, and --local those kept here"
        )
        raise RunNotFoundError(msg, run_id=run_id[:100])

    def _do(self, flow: Flow[T]) -> T:
        from kit.netlify.transport import Transport

        transport = Transport()
        try:
            return transport.carry_out(flow)
        finally:
            transport.close()


def _not_ended(run_id: str, advice: str) -> WorkflowError:
    from kit.model.errors import RunError

    return RunError(f"run {run_id} has not ended; {advice}", run_id=run_id, code="RUN_NOT_ENDED")
