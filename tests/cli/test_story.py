"""What is told of runs while they go on: the lines, and what is open."""

import re
from pathlib import Path

import pytest

from kit.cli.screen.live import plain
from kit.cli.screen.story import Line, Story
from kit.cli.screen.times import age, countdown, span
from kit.model.progress import Progress, ProgressKind
from tests.support.cli_runs import GREET, HEAD, Kit, workflow


def test_a_terminal_shows_marks_and_what_is_open(root: Path, kit: Kit) -> None:
    # long enough to be drawn, ten times a second, on a machine that stands still now and then
    workflow(root, "greet", GREET.replace('"1 hour"', "2"))
    said = kit("run", "greet", "--data", '{"name": "A"}', terminal=True)
    assert said.out == '"hello A"\n'
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.err)
    assert "✓ look" in shown
    assert re.search(r"☾ nap  sleeps \d", shown)
    assert re.search(r"nap  goes on in [12] s", shown)
    assert "✓ nap  slept" in shown
    assert "completed  after" in shown
    assert "noise from the handler\n" in said.err


def told(story: Story, what: str, run_id: str = "r" * 36, at: int = 0, **data: object) -> str:
    line = story.tell(Progress(ProgressKind(what), run_id, "flow", at, data))
    return "" if line is None else plain(line)


def test_runs_beside_the_main_one_are_told_by_name() -> None:
    story = Story("r" * 36)
    told(story, "run-started", attempt=0)
    assert told(story, "run-started", "other-id-1", attempt=2) == "flow: run other-id-1, attempt 2"
    assert told(story, "step-started", "other-id-1", stepId="a") == ""
    assert list(story.open(2500)) == ["flow other-id: a  3 s"]
    assert told(story, "step-finished", "other-id-1", at=9, stepId="a") == (
        "flow other-id: a: done, 9 ms"
    )
    assert story.ids == {"r" * 36, "other-id-1"}


def test_runs_that_are_executed_for_others_are_theirs_to_tell_of() -> None:
    story = Story()
    theirs = Progress(ProgressKind.RUN_STARTED, "r", "flow", 0, {"attempt": 0}, own=False)
    assert story.tell(theirs) is None
    assert (story.ids, list(story.open(0))) == (set(), [])


def test_what_waits_is_open_with_its_countdown() -> None:
    story = Story("r" * 36)
    told(story, "run-started", attempt=0)
    assert told(story, "attempt-failed", attempt=0, error="x", retryIn=5000) == (
        "attempt 0 failed: x; next in 5 s"
    )
    assert list(story.open(1)) == ["attempt 1  begins in 5 s"]
    assert told(story, "run-started", attempt=1) == "attempt 1"
    told(story, "slept", stepId="nap")
    assert told(story, "run-sleeps", dueAt=90_000, asleep=90_000) == "nap sleeps 1 min 30 s"
    assert list(story.open(1_000)) == ["nap  goes on in 1 min 29 s"]
    assert told(story, "run-started", attempt=1) == "nap: done, slept"
    assert list(story.open(1_000)) == []


CUT_OFF = f"""{HEAD}
@define_workflow
async def flow(input, context):
    try:
        async with asyncio.timeout(0.01):
            await context.step.sleep("given up", "1 hour")
    except TimeoutError:
        await context.step.run("instead", lambda: 1)
    await context.step.sleep("nap", "10 s")
"""
RACE = f"""{HEAD}
@define_workflow
async def flow(input, context):
    async def nap(id, seconds):
        await context.step.sleep(id, seconds)
        await context.step.run(f"after {id}", lambda: 1)
    await asyncio.gather(nap("long", 60), nap("short", 10))
"""


@pytest.mark.parametrize("replay", ["pauses", "always"])
def test_a_sleep_that_was_cut_off_is_not_told_as_one_that_is_waited_for(
    root: Path, kit: Kit, replay: str
) -> None:
    workflow(root, "flow", CUT_OFF)
    (root / "kit.yaml").write_text(f"workflow:\n  replay: {replay}\n")
    said = kit("run", "flow", "--fast").err
    assert "given up" not in said
    assert re.search(r"^nap: done, sleep of .* skipped$", said, re.MULTILINE)


def test_of_several_sleeps_those_are_told_that_end_first(root: Path, kit: Kit) -> None:
    workflow(root, "flow", RACE)
    said = kit("run", "flow", "--fast").err
    slept = [line.split(":")[0] for line in said.splitlines() if "sleep of" in line]
    assert slept[0] == "short"  # "long" may be over as well by then, as time is skipped


def test_what_is_stored_tells_which_sleeps_go_on() -> None:
    stored = {"nap": 90_000, "rest": 90_000, "long": 99_000}
    story = Story("r" * 36, asleep=lambda run_id: dict(stored))
    told(story, "run-started", attempt=0)
    for name in ("given up", *stored):
        told(story, "slept", stepId=name)
    assert told(story, "run-sleeps", dueAt=90_000, asleep=90_000) == "nap, rest sleeps 1 min 30 s"
    assert list(story.open(1_000)) == ["nap, rest  goes on in 1 min 29 s"]
    assert told(story, "run-started", attempt=0) == "nap, rest: done, slept"
    assert told(story, "run-sleeps", dueAt=99_000, asleep=9_000) == "long sleeps 9 s"
    assert told(story, "run-started", attempt=0) == "long: done, slept"


def test_where_the_clock_was_set_back_no_length_of_time_is_told() -> None:
    story = Story("r" * 36)
    told(story, "run-started", at=5_000, attempt=0)
    told(story, "step-started", at=5_000, stepId="a")
    assert told(story, "step-finished", at=2_000, stepId="a") == "a: done"
    assert told(story, "run-ended", at=2_000, status="completed") == "completed"


def test_names_cannot_do_anything_to_a_terminal() -> None:
    story = Story()
    told(story, "run-started", attempt=0)
    assert "\x1b" not in told(story, "step-finished", stepId="\x1b[2J")


def test_a_line_without_detail_ends_with_its_text() -> None:
    assert plain(Line("note", "attempt 1")) == "attempt 1"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (1_234, "1.2 s"),
        (9_999, "10 s"),
        (59_600, "1 min"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (100_000_000, "1 d 3 h"),
    ],
)
def test_spans_are_said_in_their_two_largest_units(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text


def test_countdowns_round_up_and_ages_down() -> None:
    assert (countdown(1), countdown(0), countdown(1001)) == ("1 s", "0 s", "2 s")
    assert (age(1), age(1999), age(-1)) == ("0 s", "1 s", "0 s")
