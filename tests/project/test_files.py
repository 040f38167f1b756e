"""The files settings come from: which one, and what may stand in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kit.project.config import WorkflowConfig, load


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "workflow:\n", "workflow: {}", "{}"])
def test_a_file_that_says_nothing_is_fine(root: Path, text: str) -> None:
    (root / "kit.yaml").write_text(text)

    assert load(root, environ={}).workflow == WorkflowConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "workflow:\n  base_url: x\n",
            " line 2, workflow.base_url: there is no such key. Did you mean baseUrl?",
        ),
        (
            "workflow:\n  stroe: x\n",
            " line 2, workflow.stroe: there is no such key. Did you mean store?",
        ),
        (
            "workflow:\n  1: x\n",
            " line 2, workflow.1: there is no such key. Known: apiKey, baseUrl, bundle,"
            " concurrency, durability, folder, include, path, provider, python, replay, retention,"
            " store.",
        ),
        ("workflows: {}", ": there is no key 'workflows' at the top. Did you mean workflow?"),
        (
            "baseUrl: x",
            ": there is no key 'baseUrl' at the top. All settings stand below `workflow:`.",
        ),
        ("1: x", ": there is no key '1' at the top. All settings stand below `workflow:`."),
        ("- workflow", " holds a list; it must hold keys, at the top `workflow:`"),
        ("workflow", " holds text; it must hold keys, at the top `workflow:`"),
        (
            "\nworkflow: true",
            " line 2, workflow: it is true, but must be a section of keys, or false to switch"
            " workflows off",
        ),
        ("workflow: [a]", None),
        ("workflow: local", None),
        ("workflow:\n\tstore: awl\n", " line 2: there is a tab. YAML is indented with spaces only"),
        (
            "workflow:\n  store: awl\n\tpath: x\n",
            " line 3: there is a tab. YAML is indented with spaces only",
        ),
        (
            "workflow:\n  store: awl\n  path: x\n  store: blobs\n",
            " line 4: workflow.store is given twice, first on line 2. Keep one of them",
        ),
        (
            "workflow: {}\nworkflow: {}\n",
            " line 2: workflow is given twice, first on line 1. Keep one of them",
        ),
        ("workflow:\n  store: 'awl\n", None),
        ("workflow: {store: *nothing}", None),
        ("workflow: !!python/object/apply:os.system ['true']", None),
        ("a: b: c", None),
        ("--- {}\n--- {}\n", None),
        ("workflow: \x07", " is no valid YAML: special characters are not allowed"),
        ("workflow: {path: 2026-13-45}", None),
        ("[" * 1000, None),
        ("? [a]\n: b\n", None),
        ("workflow: &a\n  path: *a\n", None),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_with_what_is_wrong(
    root: Path,
    text: str,
    says: str | None,
    refusal: Any,
) -> None:
    actual = refusal(root, text)

    assert actual.startswith(str(root / "kit.yaml"))
    assert says is None or actual == f"{root / 'kit.yaml'}{says}"


def test_merge_keys_are_merged(root: Path, read: Any) -> None:
    found = read(root, "workflow:\n  <<: {store: blobs, path: a.db}\n  path: b.db\n")

    assert (found.get_workflow().store, found.get_workflow().path) == ("blobs", "b.db")


def test_a_file_that_is_no_utf8_is_named(root: Path, refusal: Any) -> None:
    (root / "kit.yaml").write_bytes(b"workflow: \xff\n")

    assert (
        refusal(root)
        == f"{root / 'kit.yaml'} cannot be read: it is not UTF-8. Save it with that encoding"
    )


def test_a_byte_order_mark_is_no_trouble(root: Path) -> None:
    (root / "kit.yaml").write_bytes(b"\xef\xbb\xbfworkflow: {store: blobs}\n")
    (root / ".env").write_bytes(b"\xef\xbb\xbfWORKFLOW_PATH=x\n")

    found = load(root, environ={}).get_workflow()

    assert (found.store, found.path) == ("blobs", "x")


def test_a_file_that_cannot_be_read_is_named(root: Path, refusal: Any) -> None:
    (root / "kit.yaml").mkdir()

    assert refusal(root) == (
        f"{root / 'kit.yaml'} is no file. Remove it, or put the settings there"
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_nobody_may_read_is_named(root: Path, refusal: Any) -> None:
    (root / "kit.yaml").touch(mode=0)

    assert "cannot be read: Permission denied" in refusal(root)


def test_the_nearest_file_upward_makes_the_project(root: Path) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)
    (root / "kit.yml").write_text("workflow: {store: blobs}")
    (root / ".env").write_text("WORKFLOW_PATH=x.db")

    found = load(below, environ={})

    assert (found.root, found.file) == (root, root / "kit.yml")
    assert str(found.origins["store"]) == "kit.yml workflow.store"
    assert found.path == root / "x.db"
    assert found.folder == root / "functions/workflows"


def test_a_run_file_that_is_a_link_is_its_target_also_if_that_is_not_there_yet(root: Path) -> None:
    (root / "link.db").symlink_to("data/runs.db")

    found = load(root, environ={"WORKFLOW_PATH": "link.db"})

    assert found.path == (root / "data/runs.db").resolve()


def test_the_search_does_not_leave_the_repository(root: Path) -> None:
    inner = root / "inner"
    (inner / ".git").mkdir(parents=True)
    (root / "kit.yaml").write_text("workflow: {store: blobs}")

    found = load(inner, environ={})

    assert (found.root, found.file, found.get_workflow().store) == (inner, None, "awl")


@pytest.mark.parametrize("marker", ["netlify.toml", "pyproject.toml"])
def test_without_a_file_the_nearest_marked_folder_is_the_project(root: Path, marker: str) -> None:
    project = root / "project"
    (project / "below").mkdir(parents=True)
    (project / marker).touch()

    assert load(project / "below", environ={}).root == project


def test_without_any_mark_the_start_is_the_project(tmp_path: Path) -> None:
    assert load(tmp_path, environ={}).root == tmp_path


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("kit.yaml", "kit.yml"), "kit.yaml and kit.yml"),
        (("kit.yaml", "pyproject.toml"), "kit.yaml and [tool.kit] in pyproject.toml"),
    ],
)
def test_two_files_in_one_folder_are_refused(
    root: Path, names: tuple[str, str], says: str, refusal: Any
) -> None:
    for name in names:
        (root / name).write_text("[tool.kit]\n" if name.endswith("toml") else "")

    assert refusal(root) == (f"{root} has both {says}: keep one, so that no setting hides another")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("!!bool s3cret", "a tag such as !!bool or !!timestamp"),
        ("!!timestamp s3cret", "a tag such as !!bool or !!timestamp"),
        ("!!float s3cret", "a tag such as"),
        ("!!int s3cret", "a tag such as"),
        ("!!binary s3cret=", "failed to decode"),
        ("!!set s3cret", "expected a mapping"),
        ("2026-13-45", "month must be in 1..12"),
    ],
)
def test_a_tag_that_its_text_belies_is_said_without_the_text(
    root: Path, refusal: Any, value: str, why: str
) -> None:
    says = refusal(root, f"workflow:\n  apiKey: {value}\n")
    assert says.startswith(str(root / "kit.yaml"))
    assert why in says


def test_a_number_of_more_digits_than_python_reads_is_no_traceback(
    root: Path, refusal: Any
) -> None:
    (root / "pyproject.toml").write_text(f"[tool.kit.workflow]\nconcurrency = {'9' * 5000}\n")
    assert refusal(root).startswith(
        f"{root / 'pyproject.toml'} is no valid TOML: Exceeds the limit"
    )
    (root / "pyproject.toml").unlink()
    assert "digits" in refusal(root, f"workflow:\n  concurrency: {'9' * 5000}\n")


def test_what_is_no_file_of_a_sensible_size_is_not_read(root: Path, refusal: Any) -> None:
    (root / "kit.yaml").symlink_to("/dev/zero")
    assert "is no file" in refusal(root)
    (root / "kit.yaml").unlink()
    os.mkfifo(root / "kit.yaml")
    assert "is no file" in refusal(root)
    (root / "kit.yaml").unlink()
    assert "longer than a million characters" in refusal(root, "#" * 1_000_001)


def test_commas_at_the_end_of_a_list_mean_nothing(root: Path) -> None:
    found = load(root, environ={"WORKFLOW_INCLUDE": "a.json, ,b.json,"}).get_workflow()
    assert found.include == ("a.json", "b.json")
