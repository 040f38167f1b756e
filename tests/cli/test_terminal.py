"""What reaches a terminal, and what becomes of a command whose streams are closed or full."""

import io
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from kit.cli import __main__, app
from kit.cli.project import workflow_logs
from kit.model.printable import printable

ACTING = "\x1b[31m\x9b2J\u202e\u200b\x07\ud800"


@pytest.mark.parametrize("text", ["é ☃ 𝄞", "👩\u200d🚀 क\u200cष", "a b", ""])
def test_what_acts_on_no_screen_is_shown_as_it_is(text):
    assert printable(text) == text


def test_what_acts_on_a_screen_is_spelled_out_except_what_is_to_be_kept():
    assert printable("a\x1b[2J\u202eb\n") == r"a\x1b[2J\u202eb\n"
    assert printable("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@pytest.mark.parametrize("words", [["run"], ["list"], ["runs", "show"], ["init", "a"], ["schema"]])
@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_that_is_typed_acts_on_a_terminal(kit, words, as_json):
    said = kit(*words, ACTING[:-1], *(["--json"] if as_json else []))

    text = said.out + said.err
    assert said.status == 2
    assert printable(text, keep="\n") == text
    assert said.json["error"] if as_json else said.out == ""


def test_a_folder_of_an_odd_name_is_made_and_named_printably(kit, root):
    said = kit("init", "a\x1b[2Jb")

    assert said.status == 0
    assert r"a\x1b[2Jb/kit.yaml" in said.out
    assert (root / "a\x1b[2Jb/kit.yaml").exists()


def test_json_says_in_escapes_what_would_act_on_a_terminal(kit, root):
    (root / "functions/workflows/w.py").write_text(
        "from kit import define_workflow\n@define_workflow\ndef w(input): return input\n"
    )
    said = kit("run", "w", "--data", json.dumps({"a": ACTING[:-1]}))

    assert said.json == {"a": ACTING[:-1]}
    assert said.out.strip().isprintable()


def test_what_workflows_log_does_not_act_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with workflow_logs():
        logging.getLogger("kit.workflow.w").info("a\x1b[2J\nb")

    assert capsys.readouterr().err == "INFO a\\x1b[2J\nb\n"


def _ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kit", *arguments])
    with pytest.raises(SystemExit) as exited:
        app.run()
    return int(exited.value.code or 0)


COMMANDS = [["list", "--json"], ["config"], ["run", "nobody", "--json"], ["--help"]]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_does_its_work_though_its_streams_are_closed(monkeypatch, arguments):
    expected = _ended(monkeypatch, *arguments)
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    assert _ended(monkeypatch, *arguments) == expected
    for name in ("stdin", "stdout", "stderr"):
        getattr(sys, name).close()


@pytest.mark.usefixtures("root")
def test_input_from_a_closed_stream_is_empty(kit, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "argv", ["kit", "run", "w", "--data", "-"])
    assert _ended(monkeypatch, "run", "w", "--data", "-") == 2
    sys.stdin.close()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_reader_that_has_gone_ends_a_command_without_a_word(monkeypatch, capfd, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    # typer may have left what it could not write to be flushed here
    with suppress(BrokenPipeError), os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert _ended(monkeypatch, *arguments) == 1
    assert capfd.readouterr().err in ("", "\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_an_output_that_cannot_be_written_is_told(monkeypatch, capsys, arguments):
    with Path("/dev/full").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert _ended(monkeypatch, *arguments) == 1

    [said] = capsys.readouterr().err.splitlines()[-1:]
    assert said == "error: the output cannot be written: No space left on device"


@pytest.mark.usefixtures("root")
def test_a_narrow_encoding_spells_out_what_it_lacks(monkeypatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert _ended(monkeypatch, "init", "schön") == 0
    stream.flush()

    assert rb"sch\xf6n/kit.yaml" in written.getvalue()
    stream.close()


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("root")
def test_ctrl_c_while_a_workflow_is_imported_ends_the_command_without_a_traceback(kit, root):
    (root / "functions/workflows/slow.py").write_text("raise KeyboardInterrupt\n")

    assert kit("list") == (130, "", "")
    said = kit("list", "--json")
    assert (said.status, said.json["error"]["code"]) == (130, "INTERRUPTED")


def test_ctrl_c_while_the_kit_itself_is_imported_ends_it_without_a_traceback(monkeypatch, capsys):
    monkeypatch.setattr(app, "run", _interrupt)
    with pytest.raises(SystemExit) as exited:
        __main__.main()

    assert exited.value.code == 130
    assert capsys.readouterr() == ("", "")
