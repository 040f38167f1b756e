import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.cli.screen.run_page import print_run
from kit.cli.screen.runs_table import print_runs
from kit.model.run import RunStatus
from kit.store.sqlite.lease import Lease
from kit.store.sqlite.reader import Request
from tests.support.stored import Stored

Kit = Callable[..., Any]

HEAD = "import asyncio, signal\nfrom pathlib import Path\nfrom kit import define_workflow\n"
ECHO = f"{HEAD}\n@define_workflow\ndef echo(input): return input\n"
NAP = f"""{HEAD}
@define_workflow
async def nap(input, context):
    await context.step.run("before", lambda: "x" * 100)
    if not Path("go").exists():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
    await context.send_event("echo", 1)
    await context.step.sleep("nap", input)
    return "slept"
"""
FAILS = f"""{HEAD}
@define_workflow(max_retries=1, backoff=["3 seconds"])
async def fails(input, context):
    def fetch():
        with open("calls", "a") as calls:
            print("fetch", file=calls)
        return {{"n": 1}}
    def charge():
        if not Path("go").exists():
            raise ValueError("card declined")
        return "paid"
    await context.step.run("fetch", fetch)
    return await context.step.run("charge", charge)
"""
CAUGHT = f"""{HEAD}
@define_workflow
async def caught(input, context):
    def bad(): raise ValueError("as expected")
    try:
        await context.step.run("bad", bad)
    except ValueError:
        pass
    return await context.step.run("good", lambda: 1)
"""


@pytest.fixture(name="path")
def _path(root: Path) -> Path:
    """The run file of a project with workflows."""
    for name, text in {"echo": ECHO, "nap": NAP, "fails": FAILS, "caught": CAUGHT}.items():
        (root / f"functions/workflows/{name}.py").write_text(text)
    return root / ".kit/runs.db"


def interrupted(kit: Kit, path: Path, nap: str = '"1 hour"') -> str:
    """Begin a run and interrupt it; return its id."""
    assert kit("run", "nap", "--data", nap).status == 130
    (path.parent.parent / "go").touch()
    (run,) = Stored(path).unfinished()
    return run.id


def failed(kit: Kit, path: Path) -> str:
    assert kit("run", "fails", "--fast").status == 1
    return Stored(path).runs()[0].id


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


@pytest.mark.parametrize("option", [["--status", "dead"], ["--limit", "0"], ["--nonsense"]])
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


def kit_json(path: Path, run_id: str) -> Any:
    from kit.cli.screen.ending import run_json

    reader = Stored(path)
    return run_json(reader, reader.get(run_id))


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


def test_stop_cancels_at_once_when_no_engine_runs(path: Path, kit: Kit) -> None:
    run_id = interrupted(kit, path)
    said = kit("runs", "stop", run_id[:8])
    assert said.status == 0
    assert said.err == f"run {run_id} is cancelled\n"
    assert Stored(path).get(run_id).status is RunStatus.CANCELLED
    assert "had already ended: it is cancelled" in kit("runs", "stop", run_id).err
    said = kit("runs", "result", run_id)
    assert said.status == 1
    assert "was cancelled" in said.err


def test_stop_asks_the_process_that_drives_the_runs(path: Path, kit: Kit) -> None:
    run_id = interrupted(kit, path)
    with Lease(path):
        said = kit("runs", "stop", run_id, "--json")
    assert said.status == 0
    assert f"asked process {os.getpid()}" in said.err
    assert said.json["status"] == "running"
    assert Stored(path).requests() == [Request(run_id, "stop")]
    # the next process that drives the runs sees to it
    assert kit("runs", "resume").status == 1
    assert Stored(path).get(run_id).status is RunStatus.CANCELLED


def test_retry_runs_again_from_the_last_finished_step(root: Path, path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    (root / "go").touch()
    said = kit("runs", "retry", dead[:8])
    assert said.status == 0
    assert said.out == '"paid"\n'
    assert "charge: done" in said.err
    assert (root / "calls").read_text() == "fetch\n"


def test_retry_from_the_start_forgets_every_step(root: Path, path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    (root / "go").touch()
    assert kit("runs", "retry", dead, "--from-start", "--json").json["result"] == "paid"
    assert (root / "calls").read_text() == "fetch\nfetch\n"


def test_retry_may_fail_again(path: Path, kit: Kit) -> None:
    said = kit("runs", "retry", failed(kit, path), "--fast")
    assert said.status == 1
    assert "card declined" in said.err


def test_retry_refuses_what_has_not_ended(path: Path, kit: Kit) -> None:
    run_id = interrupted(kit, path)
    said = kit("runs", "retry", run_id)
    assert said.status == 1
    assert "has not ended: it is running" in said.err
    assert f"kit runs resume {run_id}" in said.err
    said = kit("runs", "retry", run_id, "--json")
    assert said.json["error"]["code"] == "RUN_NOT_ENDED"
    assert said.err == ""


def test_retry_of_a_workflow_that_has_gone_says_so(root: Path, path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    (root / "functions/workflows/fails.py").unlink()
    said = kit("runs", "retry", dead)
    assert said.status == 2
    assert "no workflow is called 'fails'" in said.err
    assert Stored(path).get(dead).status is RunStatus.FAILED


def test_resume_continues_one_run_to_its_end(path: Path, kit: Kit) -> None:
    run_id = interrupted(kit, path)
    said = kit("runs", "resume", run_id[:8], "--fast")
    assert said.status == 0
    assert said.out == '"slept"\n'
    assert "before" not in said.err  # it is not repeated
    assert kit("runs", "resume", run_id).out == '"slept"\n'


def test_resume_continues_everything_and_names_what_it_cannot(
    root: Path, path: Path, kit: Kit
) -> None:
    interrupted(kit, path, '"100 ms"')
    (root / "go").unlink()
    (root / "functions/workflows/gone.py").write_text(NAP.replace("nap", "gone"))
    assert kit("run", "gone", "--data", "1").status == 130
    (root / "go").touch()
    (root / "functions/workflows/gone.py").unlink()
    (root / "functions/workflows/broken.py").write_text("(")
    said = kit("runs", "resume")
    assert said.status == 0
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "note: left out, as `kit list` explains: functions/workflows/broken.py"
    assert lines[-2] == "note: 1 run is left as before; no workflow here is called gone"
    assert lines[-1] == "2 completed"  # with the one it sent
    again = kit("runs", "resume", "--json")
    assert again.json == []
    assert again.err.splitlines()[-1] == "nothing could be continued"


def test_resume_fails_if_a_run_does(root: Path, path: Path, kit: Kit) -> None:
    (root / "functions/workflows/nap.py").write_text(
        NAP.replace('return "slept"', "raise ValueError")
    )
    run_id = interrupted(kit, path, "0.01")
    said = kit("runs", "resume", "--fast", "--json")
    assert said.status == 1
    assert run_id in [run["id"] for run in said.json]
    assert "1 failed" in said.err
    assert "kit runs --status failed" in said.err


def test_resume_may_be_interrupted_too(root: Path, path: Path, kit: Kit) -> None:
    interrupted(kit, path)
    (root / "go").unlink()
    said = kit("runs", "resume")
    assert said.status == 130
    assert said.err.endswith("Interrupted: unfinished runs are kept. Continue: kit runs resume\n")


def test_delete_forgets_ended_runs(path: Path, kit: Kit) -> None:
    dead = failed(kit, path)
    said = kit("runs", "delete", dead[:8], "--json")
    assert said.json == {"deleted": [dead]}
    assert Stored(path).runs() == []
    assert Stored(path).attempts(dead) == []


def test_delete_refuses_unfinished_runs_and_then_deletes_nothing(path: Path, kit: Kit) -> None:
    dead, waiting = failed(kit, path), interrupted(kit, path)
    said = kit("runs", "delete", dead, waiting)
    assert said.status == 1
    assert f"stop it first: kit runs stop {waiting}" in said.err
    assert kit("runs", "delete", waiting, "--json").json["error"]["code"] == "RUN_NOT_ENDED"
    assert Stored(path).find(dead)


def test_delete_all_asks_first(path: Path, kit: Kit) -> None:
    failed(kit, path)
    kit("run", "echo")
    waiting = interrupted(kit, path)
    assert kit("runs", "delete", "--all", stdin=b"n\n").status == 1
    before = len(Stored(path).runs())
    assert kit("runs", "delete", "--status", "failed", "--yes").err == "deleted 1 run\n"
    said = kit("runs", "delete", "--all", stdin=b"y\n")
    assert said.status == 0
    assert f"Delete {before - 2} ended runs?" in said.err
    assert [run.id for run in Stored(path).runs()] == [waiting]


@pytest.mark.parametrize("options", [[], ["abc", "--all"], ["--all", "--status", "failed"]])
def test_delete_needs_to_know_what(path: Path, kit: Kit, options: list[str]) -> None:
    said = kit("runs", "delete", *options)
    assert said.status == 2
    assert "name the runs, or give --all, or --status and --older-than" in " ".join(
        said.err.replace("│", " ").split()
    )


@pytest.mark.parametrize("statement", ["runs SET chain = '{'", "checkpoints SET kind = 'dance'"])
def test_a_damaged_run_is_named_and_shown_and_can_be_forgotten(
    path: Path, kit: Kit, statement: str
) -> None:
    run_id = interrupted(kit, path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE {statement}")
    connection.close()
    listed = kit("runs")
    assert run_id in listed.out
    assert "unfinished" not in listed.err
    shown = kit("runs", "show", run_id)
    assert shown.status == 0
    assert "DamagedRun" in shown.out
    assert kit("runs", "show", run_id, "--json").json["status"] == "unknown"
    for command in ("retry", "result", "resume"):
        said = kit("runs", command, run_id)
        told = said.err.count(f"what is stored of run {run_id} is damaged")
        assert (said.status, told) == (1, 1)
        assert "kit runs retry" not in said.err
        assert "kit runs resume" not in said.err
    assert "1 run is damaged and left as before" in kit("runs", "resume").err
    assert kit("runs", "stop", run_id).status == 0
    assert kit("runs", "delete", run_id).status == 0
    assert run_id not in kit("runs").out


def test_one_damaged_run_does_not_keep_the_others_from_being_resumed(
    root: Path, path: Path, kit: Kit
) -> None:
    damaged = interrupted(kit, path)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE checkpoints SET text = '{'")
    connection.close()
    (root / "go").unlink()
    sound = kit("run", "nap", "--data", '"50 ms"').err.splitlines()[0].split()[-1]
    (root / "go").touch()
    said = kit("runs", "resume")
    assert said.status == 0
    assert said.err.count(damaged) <= 1
    assert Stored(path).find(sound).status is RunStatus.COMPLETED


def test_what_ended_long_ago_is_deleted(path: Path, kit: Kit) -> None:
    assert kit("run", "echo", "--data", "1").status == 0
    said = kit("runs", "delete", "--older-than", "30d", "--yes")
    assert (said.status, said.err) == (0, "deleted 0 runs\n")
    said = kit("runs", "delete", "--older-than", "0 ms", "--yes")
    assert said.err == "deleted 1 run\n"
    assert kit("runs", "delete", "--older-than", "long").status == 2


@pytest.mark.parametrize("which", [["--older-than", "-3d"], ["--older-than=-1 ms"], [""]])
def test_what_could_only_be_meant_for_every_run_deletes_none(
    path: Path, kit: Kit, which: list[str]
) -> None:
    assert kit("run", "echo", "--data", "1").status == 0
    assert kit("runs", "delete", *which, "--yes").status == 2
    assert len(Stored(path).runs()) == 1


@pytest.mark.parametrize("environ", [{}, {"WORKFLOW_BASE_URL": "https://site.example"}])
def test_commands_that_are_named_are_about_the_runs_kept_here(
    root: Path, path: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "", "TERM": "xterm", **environ})
    nap = root / "functions/workflows/nap.py"
    nap.write_text(NAP.replace('return "slept"', "raise ValueError"))
    interrupted(kit, path, "0.01")
    said = kit("runs", "resume", "--fast").err
    [lost] = re.findall("kit (runs retry .*)", kit("run", "nap", "--data", "0", "--fast").err)

    named = [lost, *re.findall("`kit (runs.*?)`", said)]
    assert len(named) == 3
    nap.write_text(NAP)
    for command in named:
        assert kit(*command.replace("ID", lost.split()[2]).split()).status == 0
