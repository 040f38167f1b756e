"""`kit runs`, `show` and `result`: what is kept here, as it is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli.screen.run_page import print_run
from kit.cli.screen.runs_table import print_runs
from kit.store.sqlite.lease import Lease
from tests.support.cli_runs import (
    Kit,
    failed,
    interrupted,
    kit_json,
)
from tests.support.stored import Stored


@pytest.mark.parametrize("command", [["runs"], ["runs", "resume"]])
def test_without_a_run_file_there_are_no_runs(path: Path, kit: Kit, command: list[str]) -> None:
    said = kit(*command)
    assert said.status == 0
    assert said.out == ""
    assert re.search("no runs yet|nothing is unfinished", said.err)
    assert kit(*command, "--json").json == []
    assert not path.exists()


@pytest.mark.parametrize("command", ["show", "result", "stop", "retry", "delete", "resume"])
def test_an_unknown_id_is_used_wrongly(path: Path, kit: Kit, command: str) -> None:
    said = kit("runs", command, "abc")
    assert said.status == 2
    assert "error: no run 'abc' in" in said.err


def test_runs_are_listed_newest_first_with_whole_ids_in_a_pipe(path: Path, kit: Kit) -> None:
    failed(kit, path)
    kit("run", "echo", "--data", "1")
    head, *rows = kit("runs").out.splitlines()
    assert head.split() == ["ID", "WORKFLOW", "STATUS", "AGE", "FAILED", "STEPS"]
    assert [row.split()[1:3] for row in rows] == [["echo", "completed"], ["fails", "failed"]]
    assert [row.split()[-2:] for row in rows] == [["0", "0"], ["2", "1"]]
    assert all(len(row.split()[0]) == 36 for row in rows)


def test_runs_may_be_chosen_by_status_and_number(path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    for number in range(3):
        kit("run", "echo", "--data", str(number))
    assert [run["id"] for run in kit("runs", "--status", "failed", "--json").json] == [dead]
    both = kit("runs", "--status", "failed", "--status", "completed", "--json").json
    assert len(both) == 4
    said = kit("runs", "--limit", "2")
    assert len(said.out.splitlines()) == 3
    assert "only the latest 2; --limit shows more" in said.err
    assert kit("runs", "--status", "cancelled").err == "no such runs\n"


@pytest.mark.parametrize(
    "option", [["--status", "dead"], ["--status", "unknown"], ["--limit", "0"], ["--nonsense"]]
)
def test_options_that_make_no_sense_are_used_wrongly(
    path: Path, kit: Kit, option: list[str]
) -> None:
    said = kit("runs", *option)
    assert said.status == 2
    assert option[0] in said.err


def test_unfinished_runs_nobody_drives_are_pointed_out(path: Path, kit: Kit) -> None:
    interrupted(kit, path)
    assert "1 run is unfinished, and no process is at work" in kit("runs").err
    with Lease(path):
        assert kit("runs").err == ""


def test_a_terminal_gets_short_ids_and_when_runs_go_on(
    path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = interrupted(kit, path)
    reader = Stored(path)
    run = reader.get(run_id)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    print_runs(reader, [run])
    assert f"{run_id[:8]} " in capsys.readouterr().out


def test_show_tells_all_of_a_failed_run(path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    said = kit("runs", "show", dead[:6])
    assert said.status == 0
    text = said.out
    assert re.search(r"^status +failed, attempt 1$", text, re.MULTILINE)
    assert re.search(r"^input +null$", text, re.MULTILINE)
    assert re.search(r"^ended .*, after ", text, re.MULTILINE)
    assert re.search(r'^  done +fetch +\d+ m?s  {"n": 1}$', text, re.MULTILINE)
    assert "in step 'charge', tried again after 3 s: ValueError: card declined" in text
    assert "it gave up: ValueError: card declined" in text
    assert 'fails.py", line' in text
    found = kit("runs", "show", dead, "--json").json
    assert [attempt["number"] for attempt in found["attempts"]] == [0, 1]


def test_show_tells_when_a_waiting_run_goes_on(path: Path, kit: Kit) -> None:
    run_id = interrupted(kit, path)
    process = subprocess.Popen(
        [sys.executable, "-m", "kit.cli", "runs", "resume"],
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath},
    )
    assert process.stderr
    for line in process.stderr:
        if "sleeps" in line:
            break
    text = kit("runs", "show", run_id).out
    listed = kit("runs").out
    process.kill()
    process.wait()
    process.stderr.close()
    assert re.search(r"^status +sleeping, goes on in (59 min|1 h)", text, re.MULTILINE)
    assert re.search(r'^  done +before +\d+ m?s  "x+… \(102 characters', text, re.MULTILINE)
    assert re.search(r"^  sent +echo$", text, re.MULTILINE)
    assert re.search(r"^  sleeping nap +1 h$", text, re.MULTILINE)
    assert re.search("sleeping, (59 min|1 h).* left", listed)


def test_show_tells_of_failures_that_were_caught(path: Path, kit: Kit) -> None:
    run = kit("run", "caught", "--json").json
    text = kit("runs", "show", run["id"]).out
    assert re.search(r"^  failed +bad .*ValueError: as expected$", text, re.MULTILINE)
    assert re.search(r"^result +1$", text, re.MULTILINE)


def test_show_in_colour_says_the_same(
    path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = failed(kit, path)
    bare = kit("runs", "show", dead).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_run(kit_json(path, dead))
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    shown = re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()
    ignore = "created"
    assert [line.rstrip() for line in shown if not line.startswith(ignore)] == [
        line.rstrip() for line in bare.splitlines() if not line.startswith(ignore)
    ]


def test_the_result_is_printed_or_why_there_is_none(path: Path, kit: Kit) -> None:
    kit("run", "echo", "--data", '{"a": 1}')
    echo = Stored(path).runs()[0].id
    assert kit("runs", "result", echo).json == {"a": 1}
    said = kit("runs", "result", failed(kit, path))
    assert said.status == 1
    assert "failed after 2 attempts: ValueError: card declined" in said.err
    waiting = interrupted(kit, path)
    said = kit("runs", "result", waiting)
    assert (said.status, said.out) == (1, "")
    assert "has no result yet: it is running" in said.err
    assert kit("runs", "result", waiting, "--json").json["status"] == "running"
