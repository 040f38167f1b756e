"""`kit dev` while files are saved, broken, and deleted."""

from __future__ import annotations

import signal
import time

from kit.dev.watching import DEBOUNCE_MS
from tests.real.dev.project import FAST, WORKFLOW, begin, go, wait
from tests.support.kit_dev import KitDev, until


def test_what_is_saved_is_taken_up_and_a_sleeping_run_goes_on_with_it(dev: KitDev) -> None:
    run_id = wait(dev)
    before = dev.processor_seconds
    (dev.root / "words.py").write_text("GREETING = 'new'\n")
    until(lambda: "reloaded" in dev.said)
    computed = dev.processor_seconds - before
    go(dev)

    assert dev.ended(run_id)["result"] == ["old", "new"]
    # what it waits for, and what it computes: a busy machine has no say in either
    assert computed + DEBOUNCE_MS / 1_000 < 1


def test_a_file_that_breaks_is_told_of_and_the_last_good_one_stays(dev: KitDev) -> None:
    (dev.root / "functions/workflows/hello.py").write_text("def (")
    until(lambda: "SyntaxError" in dev.ask("GET", "/_kit/workflows").text)

    assert dev.ended(begin(dev))["result"] == ["old", "old"]
    assert "SyntaxError" in dev.said


def test_whatever_is_saved_in_a_hurry_the_last_counts(dev: KitDev) -> None:
    file = dev.root / "functions/workflows/hello.py"
    for number in range(40):
        file.write_text("def (" if number % 3 else WORKFLOW.replace("GREETING]", f"{number}]"))
    file.write_text(WORKFLOW.replace("GREETING]", "'last']"))

    until(lambda: dev.ended(begin(dev))["result"] == ["old", "last"])


def test_a_run_whose_file_is_deleted_waits_until_it_comes_back(dev: KitDev) -> None:
    file = dev.root / "functions/workflows/hello.py"
    run_id = wait(dev)
    text = file.read_text()
    file.unlink()
    until(lambda: "No workflows yet" in dev.ask("GET", "/_kit/workflows").text)
    dev.end(signal.SIGKILL)
    go(dev)
    with KitDev(dev.root, environ=FAST) as again:
        until(lambda: again.run(run_id)["dueAt"] < time.time() * 1_000)
        assert "No file here defines" in again.ask("GET", f"/_kit/runs/{run_id}").text
        assert again.run(run_id)["endedAt"] is None
        file.write_text(text)

        assert again.ended(run_id)["result"] == ["old", "old"]
