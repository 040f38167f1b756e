import logging
import re
from pathlib import Path
from typing import Any

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.lease import is_held
from tests.support.cli_runs import ECHO, GREET, HEAD, Kit, workflow
from tests.support.stored import Stored


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


def test_an_empty_key_is_used_wrongly(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    said = kit("run", "echo", "--id", "")
    assert said.status == 2
    assert "--id is empty" in said.err


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


@pytest.mark.parametrize(
    "end",
    [
        "signal.raise_signal(signal.SIGINT); await asyncio.sleep(60)",
        "signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGINT)",
        "raise KeyboardInterrupt",
    ],
)
def test_a_command_that_was_interrupted_has_closed_its_engine(
    root: Path, kit: Kit, end: str
) -> None:
    flow = f"""{HEAD}\n@define_workflow\nasync def flow(input, context):
    await context.step.run("before", lambda: 1)\n    {end}"""
    workflow(root, "flow", flow)
    assert kit("run", "flow").status == 130
    path = root / ".kit/runs.db"
    assert not is_held(path)
    (run,) = Stored(path).unfinished()
    assert f"run {run.id} is cancelled" in kit("runs", "stop", run.id).err


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
