"""What happens in runs, told line by line; and what is open at a moment. No terminal in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kit.cli.screen.times import countdown, span, took
from kit.model.printable import printable
from kit.model.progress import Progress, ProgressKind

Kind = Literal["run", "done", "failed", "waits", "note", "ended"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: what kind, to what, and in detail."""

    kind: Kind
    text: str
    detail: str = ""


@dataclass(slots=True)
class _Seen:
    """A run that is watched: what is open in it."""

    workflow: str
    since: int
    attempt: int
    steps: dict[str, int] = field(default_factory=dict)
    sleeps: list[str] = field(default_factory=list)  # begun, and not known to be over
    first: list[str] = field(default_factory=list)  # of these, those that the run waits for
    said: str = ""  # the last error
    due: int | None = None  # while it waits, with `steps` empty


class Story:
    """
    Turns `Progress` into lines.

    The run *main* goes without saying; lines of other runs begin with their workflow and id. With
    *fast*, waits are told as skipped. *asleep* returns which sleeps of a run are stored as not
    over, and when each ends: of several that began, some may have been cut off. `ids` holds the
    runs seen or started by them.
    """

    def __init__(
        self,
        main: str | None = None,
        *,
        fast: bool = False,
        asleep: Callable[[str], Mapping[str, int]] = lambda _: {},
    ) -> None:
        self.ids: set[str] = set()
        self._main = main
        self._fast = fast
        self._asleep = asleep
        self._seen: dict[str, _Seen] = {}

    def tell(self, progress: Progress) -> Line | None:
        """Take note of *progress*, and return what is to be said about it, if anything."""
        if not progress.own:
            return None  # its own process tells of it
        run_id, about = progress.run_id, _ABOUT[progress.what]
        self.ids.add(run_id)
        seen = self._seen.get(run_id)
        if seen is None:
            attempt = progress.data.get("attempt", 0)
            seen = self._seen[run_id] = _Seen(progress.workflow, progress.at, attempt)
            if progress.what is ProgressKind.RUN_STARTED:
                again = f", attempt {attempt}" if attempt else ""
                return Line("run", progress.workflow, f"{run_id}{again}")
        line = about(self, progress, seen)
        if line is None:
            return None
        prefix = "" if run_id == self._main else f"{progress.workflow} {run_id[:8]}: "
        return Line(line.kind, printable(prefix + line.text), printable(line.detail))

    def open(self, now: int) -> Iterator[str]:
        """Yield what is going on at this moment: running steps, and runs that wait."""
        for run_id, seen in list(self._seen.items()):
            prefix = "" if run_id == self._main else f"{seen.workflow} {run_id[:8]}: "
            if seen.due is not None:
                slept = printable(", ".join(seen.first))
                what = f"{slept}  goes on" if slept else f"attempt {seen.attempt + 1}  begins"
                yield f"{prefix}{what} in {countdown(seen.due - now)}"
            for step_id, since in list(seen.steps.items()):
                yield f"{prefix}{printable(step_id)}  {countdown(now - since)}"

    def _run_started(self, progress: Progress, seen: _Seen) -> Line | None:
        attempt: int = progress.data["attempt"]
        slept, was, seen.due = ", ".join(_woken(seen)), seen.attempt, None
        seen.attempt = attempt
        if attempt > was:
            return Line("note", f"attempt {attempt}")
        return Line("done", slept, "slept") if slept and not self._fast else None

    def _step_started(self, progress: Progress, seen: _Seen) -> None:
        seen.steps[progress.data["stepId"]] = progress.at

    def _step_finished(self, progress: Progress, seen: _Seen) -> Line:
        step_id = progress.data["stepId"]
        return Line("done", step_id, took(seen.steps.pop(step_id, progress.at), progress.at))

    def _step_failed(self, progress: Progress, seen: _Seen) -> Line:
        data = progress.data
        seen.steps.pop(data["stepId"], None)
        seen.said = data["error"]
        why = f"{data['type']}: {_first(data['error'])}"
        return Line("failed", f"{data['stepId']} failed", why)

    def _slept(self, progress: Progress, seen: _Seen) -> None:
        seen.sleeps.append(progress.data["stepId"])  # told when a sleep begins

    def _run_sleeps(self, progress: Progress, seen: _Seen) -> Line:
        self._look(progress.run_id, seen)
        names, asleep = ", ".join(seen.first), span(progress.data["asleep"])
        if self._fast:
            _woken(seen)
            return Line("done", names, f"sleep of {asleep} skipped")
        seen.due = progress.data["dueAt"]
        return Line("waits", names, f"sleeps {asleep}")

    def _look(self, run_id: str, seen: _Seen) -> None:
        """Take note of which sleeps the run waits for: those that end first, of the stored ones."""
        stored = self._asleep(run_id) if len(seen.sleeps) != 1 else {}
        if stored:
            seen.sleeps = list(stored)
            seen.first = [each for each in stored if stored[each] == min(stored.values())]
        else:
            seen.first = list(seen.sleeps)

    def _event_sent(self, progress: Progress, seen: _Seen) -> Line:
        event_id = progress.data["eventId"]
        self.ids.add(event_id)
        return Line("note", f"sent {progress.data['name']}", event_id)

    def _attempt_failed(self, progress: Progress, seen: _Seen) -> Line:
        data, seen.steps, seen.sleeps, seen.first = progress.data, {}, [], []
        told = data["error"] == seen.said  # the step that failed has said it
        text = f"attempt {data['attempt']} failed{'' if told else ': ' + _first(data['error'])}"
        if data["retryIn"] is None:
            return Line("failed", text, "no further attempt")
        wait = span(data["retryIn"])
        if self._fast:
            return Line("failed", text, f"next in {wait}, skipped")
        seen.due = progress.at + data["retryIn"]
        return Line("failed", text, f"next in {wait}")

    def _run_ended(self, progress: Progress, seen: _Seen) -> Line:
        del self._seen[progress.run_id]
        time = took(seen.since, progress.at)
        return Line("ended", progress.data["status"], f"after {time}" if time else "")


_ABOUT: dict[ProgressKind, Callable[[Story, Progress, _Seen], Line | None]] = {
    ProgressKind.RUN_STARTED: Story._run_started,
    ProgressKind.STEP_STARTED: Story._step_started,
    ProgressKind.STEP_FINISHED: Story._step_finished,
    ProgressKind.STEP_FAILED: Story._step_failed,
    ProgressKind.SLEPT: Story._slept,
    ProgressKind.RUN_SLEEPS: Story._run_sleeps,
    ProgressKind.EVENT_SENT: Story._event_sent,
    ProgressKind.ATTEMPT_FAILED: Story._attempt_failed,
    ProgressKind.RUN_ENDED: Story._run_ended,
}


def _woken(seen: _Seen) -> list[str]:
    """Return the sleeps that were waited for, which are over."""
    over, seen.first = seen.first, []
    seen.sleeps = [each for each in seen.sleeps if each not in over]
    return over


def _first(text: str) -> str:
    return (text.splitlines() or [""])[0]
