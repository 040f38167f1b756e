import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kit.deploy.bundle.findings import raise_errors
from kit.deploy.bundle.prerequisites import Prerequisites, judge, look
from kit.model.errors import BuildError

GOOD = Prerequisites(
    is_netlify=True, has_key=True, has_library=True, node="22.1.0", declared="functions"
)


def said(found: Prerequisites, *, has_workflows: bool = True) -> list[tuple[str, str]]:
    return [(each.level, each.code) for each in judge(found, has_workflows=has_workflows)]


def node(folder: Path, text: str) -> str:
    """Return a PATH with a `node` that prints *text*."""
    file = folder / "bin" / "node"
    file.parent.mkdir()
    file.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    file.chmod(0o755)
    return str(file.parent)


def test_where_all_is_well_nothing_is_said() -> None:
    assert said(GOOD) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sees_paths": False, "node": "24.3.0"}, "BUILD_NODE_VERSION"),
        ({"declared": None}, "BUILD_NO_FOLDER"),
        ({"declared": None, "has_toml": False}, "BUILD_NO_FOLDER"),
    ],
)
def test_what_matters_on_netlify_is_an_error_there_and_a_warning_elsewhere(
    change: dict[str, object], code: str
) -> None:
    found = replace(GOOD, **change)  # type: ignore[arg-type]

    assert said(found) == [("error", code)]
    assert said(replace(found, is_netlify=False)) == [("warning", code)]


def test_the_key_is_needed_where_netlify_builds_and_fails_no_check_elsewhere() -> None:
    found = replace(GOOD, has_key=False)
    elsewhere = list(judge(replace(found, is_netlify=False), has_workflows=True))

    assert said(found) == [("error", "BUILD_NO_KEY")]
    assert [each.level for each in elsewhere] == ["note"]
    assert "need not be" in elsewhere[0].text
    assert raise_errors(elsewhere, strict=True) == tuple(elsewhere)


def test_without_the_library_nothing_can_be_bundled_anywhere() -> None:
    found = replace(GOOD, has_library=False, is_netlify=False)

    assert said(found) == [("error", "BUILD_NO_LIBRARY")]
    assert said(found, has_workflows=False) == []


def test_without_node_one_is_warned() -> None:
    assert said(replace(GOOD, node=None)) == [("warning", "BUILD_NO_NODE")]


def test_each_says_what_to_do() -> None:
    bad = Prerequisites(is_netlify=True, has_key=False, has_library=False, sees_paths=False)
    texts = " ".join(each.text for each in judge(bad, has_workflows=True))

    for advice in (
        "npm install",
        "Builds and Functions",
        "NODE_VERSION",
        'directory = "functions"',
    ):
        assert advice in texts


def test_all_errors_are_told_at_once() -> None:
    bad = Prerequisites(is_netlify=True, has_key=False, has_library=False, node="22")

    with pytest.raises(BuildError) as caught:
        raise_errors(judge(bad, has_workflows=True), strict=False)

    codes = [problem["code"] for problem in caught.value.details["problems"]]
    assert codes == ["BUILD_NO_LIBRARY", "BUILD_NO_KEY", "BUILD_NO_FOLDER"]
    assert caught.value.code == "BUILD_NO_LIBRARY"


def test_strictly_a_warning_is_an_error() -> None:
    warnings = list(judge(replace(GOOD, node=None), has_workflows=True))

    assert raise_errors(warnings, strict=False) == tuple(warnings)
    with pytest.raises(BuildError):
        raise_errors(warnings, strict=True)


def test_the_project_and_its_environment_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "node_modules/@netlify/async-workloads").mkdir(parents=True)
    (tmp_path / "node_modules/@netlify/async-workloads/package.json").write_text("{}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/netlify.toml").write_text('[functions]\ndirectory = "/netlify/functions/"\n')
    path = node(tmp_path, json.dumps(["v22.1.0", True]))

    found = look(tmp_path / "site", {"PATH": path, "NETLIFY": "true", "AWL_API_KEY_P1": "k"})

    assert found == Prerequisites(
        is_netlify=True,
        has_key=True,
        has_library=True,
        node="22.1.0",
        declared="netlify/functions",
    )
    assert found.folder == "netlify/functions"


def test_a_node_with_which_the_extension_finds_nothing_is_known(tmp_path: Path) -> None:
    found = look(tmp_path, {"PATH": node(tmp_path, json.dumps(["v24.0.0", False]))})

    assert (found.node, found.sees_paths) == ("24.0.0", False)
    assert (found.has_toml, found.declared, found.folder) == (False, None, "functions")


@pytest.mark.parametrize("text", ["nonsense", ""])
def test_a_node_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    found = look(tmp_path, {"PATH": node(tmp_path, text)})

    assert (found.node, found.sees_paths) == (None, True)
    assert look(tmp_path, {"PATH": ""}).node is None


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ('[build]\nfunctions = "fns"\n', "fns"),
        ('[build]\nfunctions = "fns"\n[functions]\ndirectory = "f2"\n', "f2"),
        ("[build]\n[functions]\nnode_bundler = 1\n", None),
    ],
)
def test_the_folder_is_read_as_netlify_reads_it(
    tmp_path: Path, text: str, folder: str | None
) -> None:
    (tmp_path / "netlify.toml").write_text(text)

    assert look(tmp_path, {"PATH": ""}).declared == folder


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[functions", "no valid TOML"),
        ('[functions]\ndirectory = "../x"\n', "outside the project"),
        ('[functions]\ndirectory = "/"\n', "outside the project"),
    ],
)
def test_a_netlify_toml_that_cannot_be_right_is_an_error(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "netlify.toml").write_text(text)

    with pytest.raises(BuildError, match=why):
        look(tmp_path, {"PATH": ""})
