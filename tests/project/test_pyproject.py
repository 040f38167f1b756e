"""Settings in `[tool.kit]` of `pyproject.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_pyproject_holds_the_same_settings(root: Path, read: Any) -> None:
    (root / "pyproject.toml").write_text("[tool.kit.workflow]\nstore = 'blobs'\n")

    found = read(root)

    assert found.get_workflow().store == "blobs"
    assert str(found.origins["store"]) == "pyproject.toml tool.kit.workflow.store"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.kit.workflow]\nstore = 1\n", "tool.kit.workflow.store: 1 is a number; it must be"),
        ("[tool.kit.workflow]\nstores = 1\n", "tool.kit.workflow.stores: there is no such key."),
        ("[tool.kit]\nworkflow = 1\n", "tool.kit.workflow: it is a number, but must be"),
        ("[tool]\nkit = 1\n", "holds a number; it must hold keys"),
        ("[tool.kit\n", "is no valid TOML: "),
        ("[tool.kit.workflow]\nstore = 'awl'\nstore = 'awl'\n", "is no valid TOML: "),
    ],
)
def test_pyproject_is_checked_the_same(root: Path, text: str, says: str, refusal: Any) -> None:
    (root / "pyproject.toml").write_text(text)

    assert refusal(root).startswith(f"{root / 'pyproject.toml'} {says}")


@pytest.mark.parametrize(
    "text",
    [
        "[tool.kit.workflow]\nstore = 'blobs'\n",
        "\t[ tool . 'kit' . \"workflow\" ]\nstore = 'blobs'\n",
        "[tool]\nkit.workflow.store = 'blobs'\n",
        "['tool'.kit]\nworkflow = {store = 'blobs'}\n",
        "tool.kit.workflow.store = 'blobs'\n",
        "tool = {kit = {workflow = {store = 'blobs'}}}\n",
    ],
)
def test_a_table_in_pyproject_is_found_however_it_is_written(
    root: Path, text: str, read: Any
) -> None:
    (root / "pyproject.toml").write_text(text)

    assert read(root).get_workflow().store == "blobs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[broken",
        "tool = 'kit'",
        "[project]\nname = 'kit'\n",
        "[project]\ndependencies = ['netlify-workflow-kit']\n[broken",
    ],
)
def test_a_pyproject_of_others_is_left_alone(root: Path, text: str, read: Any) -> None:
    (root / "pyproject.toml").write_text(text)

    assert read(root).file is None
