"""What Python prints and logs in a function, and that it stays able to."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.function.logs import Lines, Logs, running
from tests.support.function_child import ID, talking


@pytest.mark.parametrize(
    "how",
    [
        "sys.stdout.close()",
        "sys.stdout.detach()",
        "sys.stdout.buffer.close()",
        "del sys.stdout",
        "sys.stdout = None",
        "sys.stdout = open(os.devnull, 'w'); sys.stdout.close()",
        "with sys.stdout: print('within')",
        "sys.stdout.close(); sys.stderr.close()",
    ],
)
async def test_a_run_that_closes_its_output_leaves_later_ones_theirs(bundle: Path, how: str):
    async with talking(bundle) as node:
        first = await node.invoke("shuts", item={"data": f"import os\n{how}"})
        second = await node.invoke("speaks", call=2)

    said = [(each["call"], each["text"]) for each in node.logs]
    assert (first["type"], second["type"]) == ("completed", "completed")
    assert {(1, "first"), (2, "said")} <= set(said)


def test_lines_are_put_together_by_call_and_thread():
    said: list[tuple[str, int | None]] = []
    lines = Lines(lambda frame: said.append((frame["text"], frame["call"])), "info", 1)

    lines.write(b"one ")
    thread = threading.Thread(target=lambda: lines.write(b"other\nrest"))
    thread.start()
    thread.join()
    token = running.set((7, ID))
    lines.write(b"seven")
    running.reset(token)
    lines.write(b"line\ntwo\nthree\nfour")
    lines.finish(7)

    assert said == [("other", None), ("one line\ntwo\nthree", None), ("seven", 7)]


def test_a_line_without_an_end_is_not_waited_for_for_ever():
    said: list[str] = []
    lines = Lines(lambda frame: said.append(frame["text"]), "info", 1)

    lines.write(b"x" * 70_000)

    assert said == ["x" * 70_000]


@pytest.mark.filterwarnings("ignore")
def test_streams_behave_like_the_real_ones():
    said: list[str] = []
    Logs(lambda frame: said.append(frame["text"]))

    print("é \ud800")  # noqa: T201
    sys.stdout.write("a")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\n")
    subprocess.run([sys.executable, "-c", "pass"], stdout=sys.stdout, check=True)

    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    assert (sys.stdout.isatty(), sys.stdout.encoding) == (False, "utf-8")
    assert said == ["é \\ud800", "a\ufffd"]


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.CRITICAL, "error"),
        (logging.ERROR, "error"),
        (logging.WARNING, "warn"),
        (logging.INFO, "info"),
        (logging.DEBUG, "debug"),
    ],
)
def test_records_keep_their_level(level: int, name: str):
    said: list[tuple[str, str]] = []
    logs = Logs(lambda frame: said.append((frame["level"], frame["text"])))
    record = logging.LogRecord("shop", level, "", 0, "%s sold", ("one",), None)

    assert logging.lastResort is not None
    logging.lastResort.handle(record)
    logs.error("in one\n")

    assert said == [(name, "shop: one sold"), ("error", "in one")]


def test_a_record_that_does_not_fit_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    said: list[Any] = []
    Logs(said.append)

    assert logging.lastResort is not None
    logging.lastResort.handle(logging.LogRecord("shop", 40, "", 0, "%d", ("one",), None))

    assert said == []
