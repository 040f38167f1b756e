"""What commands say of an error: a message, or JSON where JSON was asked for; never a traceback."""

import json

import pytest

WRONG_USE = [
    ["nonsense"],
    ["runs", "--limit", "0"],
    ["runs", "--limit", "9" * 30],
    ["runs", "--nonsense"],
    ["runs", "show"],
    ["run"],
    ["run", "w", "--data", "{"],
    ["run", "w", "--id", ""],
    ["run", "w", "--id", "\udcff"],
    ["runs", "show", "\udcff"],
    ["runs", "show", ""],
    ["runs", "delete", "", "--yes"],
    ["runs", "delete", "--older-than", "-3d", "--yes"],
    ["runs", "--status", "foo"],
    ["send", "w", "--base-url", "https://site.example", "--delay", "5"],
    ["send", "w", "--base-url", "https://site.example", "--priority", "51"],
    ["events", "delete", "--base-url", "https://site.example"],
    ["schema", "--write", "--check", "config"],
]


@pytest.mark.parametrize("arguments", WRONG_USE)
def test_wrong_use_is_told_as_json_where_that_was_asked_for(kit, arguments):
    said = kit(*arguments, "--json")

    assert said.status == 2
    assert said.json["error"]["code"]
    assert said.json["error"]["message"]
    assert said.err == ""


@pytest.mark.parametrize("arguments", WRONG_USE)
def test_wrong_use_is_told_in_words(kit, arguments):
    said = kit(*arguments)

    assert said.status == 2
    assert "error: " in said.err.lower()
    assert "Traceback" not in said.err
    assert "Value error" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["runs", "show", "0b5c"], 2, "RUN_NOT_FOUND"),
        (["run", "nobody"], 2, "WORKFLOW_DEFINITION_NOT_FOUND"),
        (["send", "w"], 1, "CONFIG_INVALID"),
        (["config"], 1, "CONFIG_INVALID"),
    ],
)
def test_an_error_is_told_as_json_with_its_code(kit, root, arguments, status, code):
    if arguments == ["config"]:
        (root / "kit.yaml").write_text("workflow:\n  store: awll\n")
    said = kit(*arguments, "--json")

    assert (said.status, said.json["error"]["code"]) == (status, code)


def test_an_option_that_takes_no_value_is_told_as_json_when_it_is_json_itself(kit):
    said = kit("runs", "--json=yes")

    assert said.status == 2
    assert said.json["error"]["code"] == "USED_WRONGLY"
    assert said.err == ""


def test_a_question_that_nobody_answers_is_told_as_json(kit, root):
    (root / "functions/workflows/w.py").write_text(
        "from kit import define_workflow\n@define_workflow\ndef w():\n    pass\n"
    )
    assert kit("run", "w").status == 0
    said = kit("runs", "delete", "--all", "--json")

    assert (said.status, said.json["error"]["code"]) == (1, "ABORTED")
    assert len(kit("runs", "--json").json) == 1


def test_a_file_that_cannot_be_used_is_named_without_a_traceback(kit, root):
    (root / "schemas").write_text("a file in a folder's place")
    said = kit("schema", "--write")
    told = kit("schema", "--write", "--json")

    assert said.status == told.status == 1
    assert said.err == f"error: {root / 'schemas'}: File exists\n"
    assert told.json["error"]["code"] == "FILE_UNUSABLE"


def test_init_without_a_folder_says_which_to_give(kit):
    said = kit("init")

    assert said.status == 2
    assert "kit init my-project" in said.err
    assert "`kit init .`" in said.err


def test_zero_is_a_delay_in_any_form(kit, network):
    network.post(url__startswith="https://site.example").respond(200, headers={"x-awl-ack": "a"})
    for delay in ("0", "0s", "0 seconds"):
        said = kit("send", "w", "--base-url", "https://site.example", "--delay", delay, "--json")
        assert said.status == 0
        [sent] = json.loads(network.calls.last.request.content)
        assert sent["delayUntil"] > 0


def test_help_and_version_end_well(kit):
    assert kit("--help").status == 0
    assert kit("--version").status == 0
    assert kit("runs", "--help").status == 0
    assert kit().status in (0, 2)  # as click has it
