"""Which files are workflows, and what they are called."""

import os
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.model.errors import WorkflowNotFoundError
from kit.project.catalog import Catalog
from kit.project.discovery import Discovery, discover, load_workflow, name_of
from tests.support.examples import examples
from tests.support.workflow_files import FOLDER, ONE, find, only_error, put

pytestmark = pytest.mark.usefixtures("left_as_it_was")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("publish_draft.py", "publish-draft"),
        ("emails/send_welcome.py", "emails/send-welcome"),
        ("my_emails/__init__.py", "my-emails"),
        ("a/b/c.py", "a/b/c"),
        ("v1.2.py", "v1.2"),
        ("already-kebab.py", "already-kebab"),
        ("Publish.py", "Publish"),
        ("two__words_.py", "two--words-"),
    ],
)
def test_a_name_is_the_path_below_the_folder(path: str, name: str) -> None:
    assert name_of(PurePosixPath(path)) == name


def test_the_folders_own_init_has_no_name() -> None:
    with pytest.raises(ValueError, match="no name"):
        name_of(PurePosixPath("__init__.py"))


PART = st.text(alphabet="aAbß_-. é1", min_size=1, max_size=6).filter(
    lambda text: not text.startswith((".", "_")) and text.strip() == text
)
PATHS = st.sets(
    st.tuples(st.lists(PART, max_size=2), PART | st.just("__init__")).map(
        lambda it: "/".join([*it[0], it[1]]) + ".py"
    ),
    max_size=5,
)


@given(PATHS)
@settings(max_examples=examples(60))
def test_no_two_files_come_to_one_name_silently(paths: set[str]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        written = set()
        for path in paths:
            try:
                put(root, {path: ONE})
            except OSError:
                continue  # a file where another path needs a folder
            written.add(str(FOLDER / path))
        written.discard(str(FOLDER / "__init__.py"))
        found = discover(FOLDER, root=root)
        by_name = {name.lower() for name in found.workflows}
        assert len(by_name) == len(found.workflows)
        named = set(found.paths.values())
        refused = {p for error in found.errors for p in error.details.get("paths", [error.path])}
        assert named | refused == written
        assert not named & refused
        assert len(named) == len(found.paths)


def test_workflows_are_found_in_folders_and_sorted(tmp_path: Path) -> None:
    put(tmp_path, {"b.py": ONE, "a/z_z.py": ONE, "a/__init__.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a", "a/z-z", "b"]
    assert dict(found.paths) == {
        "a": "functions/workflows/a/__init__.py",
        "a/z-z": "functions/workflows/a/z_z.py",
        "b": "functions/workflows/b.py",
    }
    assert [w.name for w in found.workflows.values()] == ["a", "a/z-z", "b"]
    assert found.errors == ()


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert discover(FOLDER, root=tmp_path) == Discovery()


def test_what_begins_with_an_underscore_or_a_dot_is_no_workflow(tmp_path: Path) -> None:
    bad = "raise SystemExit"
    paths = ["_a.py", ".b.py", "_c/d.py", ".e/f.py", "__pycache__/g.py", "node_modules/h.py"]
    put(tmp_path, dict.fromkeys([*paths, "__init__/i.py", "__main__.py", "j.txt", "k.pyc"], bad))
    put(tmp_path, {"__init__.py": "", "real.py": ONE})
    found = discover(FOLDER, root=tmp_path)
    assert (list(found.workflows), found.errors) == (["real"], ())


def test_folders_that_are_links_are_not_entered(tmp_path: Path) -> None:
    put(tmp_path, {"real/a.py": ONE})
    (tmp_path / FOLDER / "again").symlink_to("real")
    (tmp_path / FOLDER / "loop").symlink_to(".")
    (tmp_path / FOLDER / "folder.py").symlink_to("real")
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["real/a"]


def test_a_folder_called_like_a_file_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, {"a.py/b.py": ONE})
    assert list(discover(FOLDER, root=tmp_path).workflows) == ["a.py/b"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    os.mkfifo(tmp_path / FOLDER / "b.py")
    (tmp_path / FOLDER / "c.py").symlink_to("b.py")
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a"]
    assert "functions/workflows/c.py is no file" in only_error(found).message


def test_a_link_within_the_project_is_a_file_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    (tmp_path / FOLDER / "b.py").symlink_to("a.py")
    found = discover(FOLDER, root=tmp_path)
    assert list(found.workflows) == ["a", "b"]
    assert found.workflows["a"] is not found.workflows["b"]


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(ONE)
    put(tmp_path / "project", {"ok.py": ONE})
    (tmp_path / "project" / FOLDER / "escape.py").symlink_to(outside)
    found = discover(FOLDER, root=tmp_path / "project")
    assert list(found.workflows) == ["ok"]
    assert "escape.py is a link that leads out of the project" in only_error(found).message


def test_a_folder_outside_the_project_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"ok.py": ONE})
    (tmp_path / "project").mkdir()
    found = discover(tmp_path / FOLDER, root=tmp_path / "project")
    error = only_error(found)
    assert error.path == "../functions/workflows"
    assert "leads out of the project" in error.message


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.py": ONE})
    (tmp_path / FOLDER / "gone.py").symlink_to("nothing.py")
    assert "gone.py is no file" in only_error(discover(FOLDER, root=tmp_path)).message


def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / FOLDER).write_text("")
    error = only_error(discover(FOLDER, root=tmp_path))
    assert error.path == "functions/workflows"
    assert "cannot be looked into: Not a directory" in error.message


def test_one_file_can_be_loaded_alone(tmp_path: Path) -> None:
    put(tmp_path, {"a_b.py": ONE, "broken.py": "("})
    file = tmp_path / FOLDER / "a_b.py"
    workflow = load_workflow(file, folder=FOLDER, root=tmp_path)
    assert workflow.name == "a-b"
    assert discover(FOLDER, root=tmp_path).workflows["a-b"] is workflow


def test_getting_a_workflow_finds_it_in_any_case(tmp_path: Path) -> None:
    found = find(tmp_path, a_b=ONE)
    assert Catalog(lambda: found).get("A-B") is found.workflows["a-b"]


def test_getting_an_unknown_workflow_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(WorkflowNotFoundError, match="did you mean 'sweep'"):
        Catalog(lambda: find(tmp_path, sweep=ONE)).get("sweeps")


def test_discovery_imports_light_modules_only() -> None:
    import subprocess

    script = (
        "import sys, kit.project.discovery\n"
        "heavy = {'pydantic', 'httpx', 'yaml', 'asyncio', 'json', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
