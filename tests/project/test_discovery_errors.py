"""What is said of workflow files that are wrong."""

import os
import re
import sys
from pathlib import Path

import pytest

from kit.model.errors import (
    DiscoveryError,
    DuplicateWorkflowError,
    WorkflowImportError,
)
from kit.project.catalog import Catalog
from kit.project.discovery import discover
from tests.support.workflow_files import DEFINE, FOLDER, ONE, find, only_error, put

pytestmark = pytest.mark.usefixtures("left_as_it_was")


def test_a_syntax_error_shows_the_file_and_spares_the_others(tmp_path: Path) -> None:
    found = find(tmp_path, broken="x = 1\ndef run(:\n", fine=ONE)
    error = only_error(found)
    assert isinstance(error, WorkflowImportError)
    assert error.path == "functions/workflows/broken.py"
    assert error.message == (
        "functions/workflows/broken.py cannot be imported: SyntaxError: invalid syntax (line 2)"
    )
    assert "def run(:" in error.traceback_text
    assert "importlib" not in error.traceback_text
    assert isinstance(error.__cause__, SyntaxError)
    assert list(found.workflows) == ["fine"]


def test_a_failing_import_shows_the_users_frames_only(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/deep.py").write_text("def go():\n    raise KeyError('deep')\n")
    source = "from lib.deep import go\ntry:\n    go()\nexcept KeyError as e:\n    1 / 0\n"
    error = only_error(find(tmp_path, broken=source))
    assert isinstance(error, WorkflowImportError)
    assert error.message.endswith(
        "broken.py cannot be imported: ZeroDivisionError: division by zero"
    )
    files = re.findall(r'File "(.*?)"', error.traceback_text)
    mine = str(tmp_path / FOLDER / "broken.py")
    assert files == [mine, str(tmp_path / "lib/deep.py"), mine]


def test_a_wrong_definition_is_shown_at_the_users_line(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, broken=f"{DEFINE}run = define_workflow(lambda: 1, timout=3)"))
    assert isinstance(error, WorkflowImportError)
    assert "no option 'timout'; did you mean 'timeout'" in error.message
    assert re.findall(r'File "(.*?)"', error.traceback_text) == [
        str(tmp_path / FOLDER / "broken.py")
    ]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raise ExceptionGroup('all', [ValueError('x')])", "ExceptionGroup: all (1 sub-exception)"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        ("raise ValueError('\\udcff')", "ValueError: \\udcff"),
        ("raise ValueError", "ValueError"),
        ("class E(Exception):\n  def __str__(self): 1/0\nraise E", "exception str() failed"),
        ("def f(): f()\nf()", "RecursionError"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_whatever_an_import_raises_is_told_in_one_line(
    tmp_path: Path, source: str, says: str
) -> None:
    found = find(tmp_path, broken=source, fine=ONE)
    error = only_error(found)
    assert isinstance(error, WorkflowImportError)
    assert says in error.message
    assert "\n" not in error.message
    error.message.encode()
    assert list(found.workflows) == ["fine"]


def test_ctrl_c_during_an_import_is_obeyed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        find(tmp_path, broken="raise KeyboardInterrupt")
    assert list(find(tmp_path, broken=ONE).workflows) == ["broken"]


def test_a_file_that_is_not_utf_8_is_an_import_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ""})
    (tmp_path / FOLDER / "a.py").write_bytes(b"x = '\xff'")
    assert isinstance(only_error(discover(FOLDER, root=tmp_path)), WorkflowImportError)


def test_nothing_half_imported_stays(tmp_path: Path) -> None:
    find(tmp_path, half="x = 1\nraise ValueError")
    assert "functions.workflows.half" not in sys.modules


def test_a_file_without_a_workflow_says_what_to_do(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, empty="x = 1"))
    assert type(error) is DiscoveryError
    assert error.message == (
        "functions/workflows/empty.py defines no workflow: decorate its function with"
        " @define_workflow, or begin the file's name with _ if it is none"
    )


def test_a_file_with_two_workflows_names_both(tmp_path: Path) -> None:
    source = f"{DEFINE}@define_workflow\ndef b(): ...\n@define_workflow\ndef a(): ...\n"
    assert only_error(find(tmp_path, double=source)).message == (
        "functions/workflows/double.py defines 2 workflows, a and b; a file has one: give each"
        " its own file"
    )


def test_two_names_for_one_workflow_are_one_workflow(tmp_path: Path) -> None:
    found = find(tmp_path, a=f"{ONE}\ndefault = run\n")
    assert list(found.workflows) == ["a"]


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    found = find(tmp_path, **{"a_b": ONE, "A-b": ONE, "other": ONE})
    error = only_error(found)
    assert isinstance(error, DuplicateWorkflowError)
    assert error.details["paths"] == ["functions/workflows/A-b.py", "functions/workflows/a_b.py"]
    assert error.message == (
        "functions/workflows/A-b.py and functions/workflows/a_b.py define workflows of one name,"
        " 'A-b' and 'a-b' (names are compared without regard to case, and _ counts as -);"
        " rename a file, or use define_workflow(name=…)"
    )
    assert list(found.workflows) == ["other"]


def test_a_package_and_a_file_of_one_name_are_both_named(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE, "a/__init__.py": ONE, "a/b.py": ONE})
    for _ in range(2):
        found = discover(FOLDER, root=tmp_path)
        assert isinstance(only_error(found), DuplicateWorkflowError)
        assert list(found.workflows) == ["a/b"]


def test_a_given_name_overrides_the_files(tmp_path: Path) -> None:
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='Mine')"
    assert list(find(tmp_path, a=named, b=ONE).workflows) == ["Mine", "b"]
    error = only_error(find(tmp_path, mine=ONE))
    assert isinstance(error, DuplicateWorkflowError)


def test_a_name_netlify_cannot_store_is_an_error_unless_another_is_given(tmp_path: Path) -> None:
    error = only_error(find(tmp_path, 名前=ONE))
    assert "名前.py gives no usable name" in error.message
    assert "Latin-1" in error.message
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='n')"
    assert list(find(tmp_path, 名前=named).workflows) == ["n"]


def test_a_file_name_that_is_no_text_can_still_be_printed(tmp_path: Path) -> None:
    put(tmp_path, {"ok.py": ONE})
    try:
        Path(os.fsdecode(bytes(tmp_path / FOLDER) + b"/\xff.py")).write_text(ONE)
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    error = only_error(discover(FOLDER, root=tmp_path))
    error.path.encode()
    error.message.encode()


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"/".join(["x" * 200] * 2) + ".py": ONE})
    assert "too long" in only_error(discover(FOLDER, root=tmp_path)).message


def test_several_errors_come_in_the_order_of_paths(tmp_path: Path) -> None:
    found = find(tmp_path, c="", a="1/0", b="(")
    assert [Path(error.path).stem for error in found.errors] == ["a", "b", "c"]


def test_a_broken_package_breaks_its_files_and_names_itself(tmp_path: Path) -> None:
    put(tmp_path, {"p/__init__.py": "1/0", "p/a.py": ONE, "b.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["b"]
    assert all("p/__init__.py" in e.traceback_text for e in found.errors)  # type: ignore[attr-defined]
    assert len(found.errors) == 2


def test_getting_a_workflow_whose_file_is_broken_raises_the_files_error(tmp_path: Path) -> None:
    found = find(tmp_path, **{"Broken": "(", "two_a": ONE, "two-a": ONE})
    with pytest.raises(WorkflowImportError, match=r"Broken\.py cannot be imported"):
        Catalog(lambda: found).get("broken")
    with pytest.raises(DuplicateWorkflowError):
        Catalog(lambda: found).get("two-a")


def test_a_name_taken_by_a_whole_file_is_not_spoiled_by_a_broken_one(tmp_path: Path) -> None:
    named = f"{DEFINE}run = define_workflow(lambda: 1, name='broken')"
    found = find(tmp_path, broken="(", a=named)
    assert Catalog(lambda: found).get("broken") is found.workflows["broken"]
