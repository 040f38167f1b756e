import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.cli.screen.live import plain
from kit.cli.screen.story import Line, Story
from kit.cli.screen.times import age, countdown, span
from kit.model.progress import Progress, ProgressKind
from kit.model.run import RunStatus
from tests.support.stored import Stored

HEAD = "import asyncio, signal\nfrom kit import define_workflow\n"
GREET = f"""{HEAD}
from pydantic import BaseModel

class Guest(BaseModel):
    name: str
    age: int = 0

@define_workflow
async def greet(input: Guest, context):
    with open("calls", "a") as calls:
        print(input.name, file=calls)
    print("noise from the handler")
    await context.step.run("look", lambda: 1)
    await context.step.sleep("nap", "1 hour")
    return f"hello {{input.name}}"
"""
ECHO = f"{HEAD}\n@define_workflow\ndef echo(input): return input\n"


Kit = Callable[..., Any]


def workflow(root: Path, name: str, text: str) -> None:
    (root / "functions/workflows" / f"{name}.py").write_text(text)


def test_the_result_is_one_line_of_json_and_progress_goes_elsewhere(root: Path, kit: Kit) -> None:
    workflow(root, "greet", GREET)
    said = kit("run", "greet", "--data", '{"name": "Zoë"}', "--fast")
    assert said.status == 0
    assert said.out == '"hello Zoë"\n'
    lines = said.err.splitlines()
    assert re.fullmatch("greet: run [0-9a-f-]{36}", lines[0])
    assert lines[1] == "noise from the handler"
    assert re.fullmatch(r"look: done, [\d.]+ m?s", lines[2])
    assert lines[3] == "nap: done, sleep of 1 h skipped"
    assert re.fullmatch(r"completed after [\d.]+ m?s", lines[5])


def test_json_is_the_whole_run(root: Path, kit: Kit) -> None:
    workflow(root, "greet", GREET)
    run = kit("run", "greet", "--data", '{"name": "Zoë"}', "--fast", "--json").json
    assert isinstance(run, dict)
    assert run["status"] == "completed"
    assert run["data"] == {"name": "Zoë"}
    assert run["result"] == "hello Zoë"
    assert [step["id"] for step in run["steps"]] == ["look", "nap"]


def test_a_name_is_found_in_any_case_and_input_may_be_left_out(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    assert kit("run", "ECHO").out == "null\n"


def test_data_may_stand_in_a_file_or_come_from_standard_input(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    (root / "data.json").write_text('{"from": "file"}')
    assert kit("run", "echo", "--data", "@data.json").json == {"from": "file"}
    assert kit("run", "echo", "--data", "-", stdin=b'"in"').json == "in"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("{", "is not JSON: .* column 2"),
        ("", "is not JSON"),
        ("nope", "is not JSON"),
        ("[NaN]", "NaN is not a JSON value"),
        ("[-Infinity]", "-Infinity is not a JSON value"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "is not JSON: .*digits"),
        ("@missing.json", "cannot be read: No such file"),
        ("@functions", "cannot be read: Is a directory"),
        ("-", "is not JSON"),
    ],
)
def test_data_that_is_no_json_is_used_wrongly(root: Path, kit: Kit, data: str, why: str) -> None:
    workflow(root, "echo", ECHO)
    said = kit("run", "echo", "--data", data, stdin=b"\xff\xfe\xfd")
    assert said.status == 2
    assert said.out == ""
    assert re.search(why, " ".join(said.err.replace("│", "").split()))
    assert not (root / ".kit").exists()


def test_an_empty_key_is_used_wrongly(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    said = kit("run", "echo", "--id", "")
    assert said.status == 2
    assert "--id is empty" in said.err


def test_invalid_input_names_each_field_and_starts_nothing(root: Path, kit: Kit) -> None:
    workflow(root, "greet", GREET)
    said = kit("run", "greet", "--data", '{"age": "old"}')
    assert said.status == 1
    assert "error: the input of 'greet' is invalid:" in said.err
    assert "name: Field required" in said.err
    assert "age: Input should be a valid integer" in said.err
    assert not (root / ".kit").exists()
    (issue, _) = json.loads(kit("run", "greet", "--data", '{"age": "x"}', "--json").out)["error"][
        "details"
    ]["issues"]
    assert issue["loc"] == ["name"]


def test_an_integer_javascript_would_round_is_refused_with_its_place(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    said = kit("run", "echo", "--data", '{"ids": [1, 9007199254740993]}')
    assert said.status == 1
    assert ".ids[1]" in said.err
    assert "send it as a text" in said.err
    assert not (root / ".kit").exists()


def test_an_annotation_that_makes_no_sense_is_the_files_error(root: Path, kit: Kit) -> None:
    later = "from __future__ import annotations\n"
    workflow(root, "odd", f"{later}{HEAD}@define_workflow\ndef odd(input: Nowhere): ...\n")
    said = kit("run", "odd", "--data", "{}")
    assert said.status == 1
    assert "functions/workflows/odd.py" in said.err
    assert "Nowhere" in said.err


def test_an_unknown_name_lists_the_known_ones_and_the_nearest(root: Path, kit: Kit) -> None:
    workflow(root, "greet", GREET)
    workflow(root, "echo", ECHO)
    said = kit("run", "gret")
    assert said.status == 2
    assert "no workflow is called 'gret'; did you mean 'greet'? There are: echo, greet" in said.err
    assert kit("run", "gret", "--json").json == {
        "error": {
            "code": "WORKFLOW_DEFINITION_NOT_FOUND",
            "message": "no workflow is called 'gret'; did you mean 'greet'? There are: echo, greet",
        }
    }


def test_other_files_that_are_wrong_do_not_hinder(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    workflow(root, "broken", "(")
    said = kit("run", "echo", "--data", "1")
    assert said.status == 0
    assert said.out == "1\n"
    assert "functions/workflows/broken.py" in said.err.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def wrong(:\n", r"SyntaxError.*\(line 1\)"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("x = 1\n", "defines no workflow"),
        (f"{ECHO}\n@define_workflow\ndef other(): ...\n", "defines 2 workflows, echo and other"),
    ],
)
def test_a_file_that_is_wrong_says_so_for_its_own_workflow(
    root: Path, kit: Kit, text: str, why: str
) -> None:
    workflow(root, "mine", text)
    said = kit("run", "mine")
    assert said.status == 1
    assert re.search(f"error: functions/workflows/mine.py .*{why}", said.err)


def test_two_files_of_one_name_are_both_named(root: Path, kit: Kit) -> None:
    workflow(root, "my_echo", ECHO)
    workflow(root, "my-echo", ECHO)
    said = kit("run", "my-echo")
    assert said.status == 1
    assert "my-echo.py" in said.err
    assert "my_echo.py" in said.err


FAILS = f"""{HEAD}
@define_workflow(max_retries=3)
async def fails(input, context):
    def boom(): raise ValueError("no such luck\\nat all")
    await context.step.run("try", boom)
"""


def test_failing_tells_every_attempt_and_the_wait_before_each(root: Path, kit: Kit) -> None:
    workflow(root, "fails", FAILS)
    said = kit("run", "fails", "--fast")
    assert said.status == 1
    assert said.out == ""
    told = [line for line in said.err.splitlines() if line.startswith("attempt")]
    assert told == [
        "attempt 0 failed; next in 5 s, skipped",
        "attempt 1",
        "attempt 1 failed; next in 5 s, skipped",
        "attempt 2",
        "attempt 2 failed; next in 20 s, skipped",
        "attempt 3",
        "attempt 3 failed; no further attempt",
    ]
    assert said.err.count("try failed; ValueError: no such luck\n") == 4
    assert "fails.py" in said.err  # the traceback
    assert re.search("error: run .* failed after 4 attempts: ValueError: no such luck", said.err)
    assert "kit runs retry " in said.err


def test_the_same_key_does_not_start_a_second_run(root: Path, kit: Kit) -> None:
    workflow(root, "greet", GREET)
    first = kit("run", "greet", "--data", '{"name": "A"}', "--id", "k", "--fast", "--json").json
    said = kit("run", "Greet", "--data", '{"name": "B"}', "--id", "k", "--json")
    assert said.status == 0
    assert said.json == first
    assert "'k' has started run" in said.err
    assert "with another input" in said.err
    assert (root / "calls").read_text() == "A\nA\n"  # before and after the sleep


def test_the_same_key_continues_what_was_interrupted(root: Path, kit: Kit) -> None:
    workflow(root, "pause", PAUSE)
    stopped = kit("run", "pause", "--id", "k")
    assert stopped.status == 130
    (root / "go").touch()
    said = kit("run", "pause", "--id", "k")
    assert said.status == 0
    assert said.out == '"went"\n'
    assert "with another input" not in said.err


PAUSE = f"""{HEAD}
from pathlib import Path

async def wait():
    if not Path("go").exists():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

@define_workflow
async def pause(input, context):
    await context.step.run("before", lambda: 1)
    await context.step.run("wait", wait)
    return "went"
"""


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_keeps_the_run_and_says_how_to_continue(
    root: Path, kit: Kit, terminal: bool
) -> None:
    workflow(root, "pause", PAUSE)
    said = kit("run", "pause", terminal=terminal)
    assert said.status == 130
    assert said.out == ""
    (run,) = Stored(root / ".kit/runs.db").runs()
    assert not run.status.is_final
    assert f"run {run.id} is kept. Continue: kit runs resume {run.id}" in said.err
    (root / "go").touch()
    assert kit("runs", "resume", run.id).out == '"went"\n'


CHAIN = f"""{HEAD}
@define_workflow
async def chain(input, context):
    await context.send_event("echo", {{"now": True}})
    await context.send_event("echo", {{"later": True}}, delay="1 hour")
    return "sent"
"""


def test_runs_it_sends_are_driven_and_those_that_wait_are_counted(root: Path, kit: Kit) -> None:
    workflow(root, "chain", CHAIN)
    workflow(root, "echo", ECHO)
    said = kit("run", "chain")
    assert said.status == 0
    assert said.out == '"sent"\n'
    assert "note: 1 run it started waits for a later moment; `kit runs resume`" in said.err
    runs = {run.data: run.status for run in Stored(root / ".kit/runs.db").runs()}
    assert runs['{"now":true}'] is RunStatus.COMPLETED
    assert runs['{"later":true}'] is RunStatus.QUEUED
    assert re.search(r"^echo [0-9a-f]{8}: completed", said.err, re.MULTILINE)


def test_a_result_that_is_no_json_is_a_failure_that_says_so(root: Path, kit: Kit) -> None:
    workflow(root, "odd", f"{HEAD}\n@define_workflow\ndef odd(): return object()\n")
    said = kit("run", "odd", "--fast")
    assert said.status == 1
    assert re.search("PayloadError: the result .* not JSON", said.err)


def test_half_a_surrogate_pair_in_a_result_is_printed_as_an_escape(root: Path, kit: Kit) -> None:
    workflow(root, "half", f"{HEAD}\n@define_workflow\ndef half(): return chr(0xd800)\n")
    assert kit("run", "half").out == '"\\ud800"\n'


def test_a_terminal_shows_marks_and_what_is_open(root: Path, kit: Kit) -> None:
    slow = GREET.replace('"look", lambda: 1', '"look", asyncio.sleep, 0.15').replace(
        '"1 hour"', "0.15"
    )
    workflow(root, "greet", slow)
    said = kit("run", "greet", "--data", '{"name": "A"}', terminal=True)
    assert said.out == '"hello A"\n'
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.err)
    assert "✓ look" in shown
    assert re.search(r"☾ nap  sleeps 1\d\d ms", shown)
    assert "nap  goes on in 1 s" in shown
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


LOGGER = """
from kit import Context, define_workflow

@define_workflow
async def chatty(input: None, context: Context) -> None:
    context.logger.info("charged %s", 5)
"""


def test_what_a_workflow_logs_is_shown(
    root: Path, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as outside pytest
    (root / "functions" / "workflows" / "chatty.py").write_text(LOGGER)

    assert "INFO charged 5" in kit("run", "chatty").err
