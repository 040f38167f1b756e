import tomllib
from pathlib import Path

import pytest

from kit.deploy.bundle.requirements import FOR_HTTP, NEEDED, find_requirements
from kit.model.errors import BuildError

REPOSITORY = Path(__file__).parents[3]


def test_the_kits_own_needs_are_those_of_its_package_but_yaml() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    without_yaml = [text for text in project["dependencies"] if not text.startswith("pyyaml")]
    assert sorted(NEEDED) == sorted(without_yaml)


def test_a_project_without_any_needs_what_the_kit_needs(tmp_path: Path) -> None:
    found = find_requirements(tmp_path, has_http=False)

    assert (found.needed, found.file, found.origin) == (NEEDED, None, "the kit's own needs")
    assert find_requirements(tmp_path, has_http=True).needed == NEEDED + FOR_HTTP


def test_pyproject_goes_before_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert find_requirements(tmp_path, has_http=False).origin == "requirements.txt"

    (tmp_path / "pyproject.toml").write_text("[tool.x]\n")
    assert find_requirements(tmp_path, has_http=False).origin == "requirements.txt"

    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = []\n')
    assert find_requirements(tmp_path, has_http=False).origin == "pyproject.toml"


def test_dependencies_left_to_a_build_are_read_from_requirements(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndynamic = ["dependencies"]\n')
    with pytest.raises(BuildError, match="List them there, or in requirements"):
        find_requirements(tmp_path, has_http=False)

    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert find_requirements(tmp_path, has_http=False).content == ("numpy\n",)


def test_what_is_included_counts_too(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\n--constraint=c.txt\nnumpy\n")
    (tmp_path / "more.txt").write_text("-r requirements.txt\nhttpx\n")
    (tmp_path / "c.txt").write_text("numpy<3\n")

    content = find_requirements(tmp_path, has_http=False).content

    assert [text.splitlines()[-1] for text in content] == ["numpy", "httpx", "numpy<3"]


def test_only_what_decides_about_packages_counts(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\nname = "x"\nversion = "1"\ndependencies = ["a"]\n')
    before = find_requirements(tmp_path, has_http=False)

    file.write_text('[project]\nname = "x"\nversion = "2"\ndependencies = ["a"]\n[tool.z]\n')
    assert find_requirements(tmp_path, has_http=False) == before

    file.write_text('[project]\nname = "x"\nversion = "2"\ndependencies = ["b"]\n')
    assert find_requirements(tmp_path, has_http=False) != before


def test_the_kits_own_repository_needs_what_the_kit_needs() -> None:
    assert find_requirements(REPOSITORY, has_http=False).file is None


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ('["httpx", "not a requirement"]', "the dependency 'not a requirement' is none"),
        ("[1]", "must be a list of texts"),
        ('"httpx"', "must be a list"),
        ("{httpx = 1}", "must be a list"),
    ],
)
def test_a_dependency_that_is_none_is_named(tmp_path: Path, dependencies: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[project]\ndependencies = {dependencies}\n")

    with pytest.raises(BuildError, match=said) as caught:
        find_requirements(tmp_path, has_http=False)

    assert str(tmp_path / "pyproject.toml") in caught.value.message


def test_an_unreadable_pyproject_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    with pytest.raises(BuildError, match="no valid TOML"):
        find_requirements(tmp_path, has_http=False)
