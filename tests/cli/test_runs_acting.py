"""`kit runs stop`, `retry`, `resume` and `delete`, on runs kept here."""

import os
import re
import sqlite3
from pathlib import Path

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.lease import Lease
from kit.store.sqlite.reader import RunRequest
from tests.support.cli_runs import (
    NAP,
    Kit,
    failed,
    interrupted,
)
from tests.support.stored import Stored


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
    assert Stored(path).requests() == [RunRequest(run_id, "stop")]
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
