"""The input that is given to a command: where it may stand, and what is wrong with it."""

import json
import os
import re
import threading
from pathlib import Path

import pytest

from tests.support.cli_runs import ECHO, GREET, Kit, workflow


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


def test_data_may_come_from_a_pipe_and_a_terminal_is_told_what_is_waited_for(
    root: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow(root, "echo", ECHO)
    os.mkfifo(root / "pipe")
    said, has_said = list[str](), threading.Event()
    monkeypatch.setattr("kit.cli.options.PATIENCE_SECONDS", 0)
    monkeypatch.setattr("kit.cli.options.say", lambda text: (said.append(text), has_said.set()))

    def write() -> None:
        with (root / "pipe").open("w") as pipe:
            has_said.wait()
            pipe.write('{"from": "pipe"}')

    writer = threading.Thread(target=write)
    writer.start()
    result = kit("run", "echo", "--data", "@pipe", terminal=True)
    writer.join()
    assert result.json == {"from": "pipe"}
    assert said == [
        "waiting for --data @pipe: whoever writes it must end it, as Ctrl-D does at a terminal"
    ]


def test_input_that_is_there_is_read_without_a_word(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    (root / "data.json").write_text("1")
    assert "waiting" not in kit("run", "echo", "--data", "@data.json", terminal=True).err
    assert "waiting" not in kit("run", "echo", "--data", "-", stdin=b"1", terminal=True).err


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
