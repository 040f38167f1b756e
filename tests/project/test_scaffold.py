import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kit.model.errors import ConfigError
from kit.project.config import load
from kit.project.discovery import discover
from kit.project.scaffold import init, project_name
from kit.project.schemas import config_schema

FILES = [
    ".gitignore",
    "README.md",
    "functions/workflows/publish_draft.py",
    "kit.yaml",
    "netlify.toml",
    "package.json",
    "public/index.html",
    "pyproject.toml",
    "schemas/kit.schema.json",
    "tests/test_publish_draft.py",
]


def test_a_project_is_written_with_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "a" / "site"
    assert [file.relative_to(root).as_posix() for file in init(root)] == FILES
    assert all((root / path).is_file() for path in FILES)


def test_nothing_is_left_to_fill_in(tmp_path: Path) -> None:
    for file in init(tmp_path, name="my site"):
        text = file.read_text()
        assert "$project" not in text
        assert "$$" not in text
        assert text.endswith("\n")


def test_its_files_say_what_netlify_and_editors_need(tmp_path: Path) -> None:
    init(tmp_path, name="My Site")
    package = json.loads((tmp_path / "package.json").read_text())
    assert (package["name"], package["private"], package["type"]) == ("my-site", True, "module")
    own = json.loads((Path(__file__).parents[2] / "package.json").read_text())
    assert package["dependencies"] == own["dependencies"]
    assert package["overrides"] == own["overrides"]
    netlify = tomllib.loads((tmp_path / "netlify.toml").read_text())
    assert netlify["functions"] == {"directory": "functions"}
    assert netlify["build"]["command"] == "pip install 'netlify-workflow-kit[dev]' && kit build"
    assert (tmp_path / netlify["build"]["publish"]).is_dir()
    assert netlify["build"]["environment"]["NODE_VERSION"] == "22"
    assert tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["name"] == "my-site"
    settings = (tmp_path / "kit.yaml").read_text()
    assert settings.startswith("# yaml-language-server: $schema=./schemas/kit.schema.json\n")
    assert yaml.safe_load(settings) == {
        "workflow": {"folder": "functions/workflows", "store": "blobs"}
    }
    schema = json.loads((tmp_path / "schemas/kit.schema.json").read_text())
    assert schema == config_schema()


def test_its_settings_load(tmp_path: Path) -> None:
    init(tmp_path)
    config = load(tmp_path, environ={})
    assert (config.root, config.provider) == (tmp_path, "local")
    assert config.folder == tmp_path / "functions/workflows"
    assert config.get_workflow().store == "blobs"


def test_its_workflow_is_discovered(tmp_path: Path) -> None:
    init(tmp_path)
    found = discover(Path("functions/workflows"), root=tmp_path)
    assert found.errors == ()
    assert list(found.workflows) == ["publish-draft"]
    assert found.workflows["publish-draft"].doc.startswith("Keep a draft's title")


def test_no_file_is_overwritten_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "kit.yaml").write_text("mine")
    (tmp_path / "README.md").symlink_to("nowhere")
    (tmp_path / "other.txt").write_text("untouched")
    with pytest.raises(ConfigError, match=r"already has README\.md, kit\.yaml; nothing") as raised:
        init(tmp_path)
    assert raised.value.details == {"conflicts": ["README.md", "kit.yaml"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "kit.yaml",
        "other.txt",
    ]
    assert (tmp_path / "kit.yaml").read_text() == "mine"


def test_a_second_time_is_refused(tmp_path: Path) -> None:
    init(tmp_path)
    with pytest.raises(ConfigError, match="already has"):
        init(tmp_path)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_link_in_a_folders_place_is_a_conflict(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "site"
    root.mkdir()
    if kind == "file":
        (root / "functions").write_text("")
    else:
        (root / "functions").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="already has functions"):
        init(root)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        init(file)


def test_folders_that_are_there_are_used(tmp_path: Path) -> None:
    (tmp_path / "functions/workflows").mkdir(parents=True)
    (tmp_path / "functions/workflows/mine.py").write_text("# mine\n")
    init(tmp_path)
    assert (tmp_path / "functions/workflows/mine.py").read_text() == "# mine\n"


def test_what_was_written_before_a_failure_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.open

    def full(self: Path, *args: object, **options: object) -> object:
        if self.name == "package.json":
            raise OSError(28, "No space left on device")
        return whole(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ConfigError, match=r"package\.json cannot be written: No space left"):
        init(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("site", "site"),
        ("My Site!", "my-site"),
        ("Ünser  Projekt_2", "unser-projekt-2"),
        ("--x--", "x"),
        ("名前", "my-workflows"),
        ("", "my-workflows"),
        ("x" * 99 + "--y", "x" * 99),
    ],
)
def test_any_folder_name_becomes_a_project_name(text: str, name: str) -> None:
    assert project_name(text) == name


@given(st.text())
def test_a_project_name_is_always_one_that_python_and_npm_take(text: str) -> None:
    name = project_name(text)
    assert 0 < len(name) <= 100
    assert all(part.isascii() and part.isalnum() for part in name.split("-"))
    assert name == name.lower()
    assert project_name(name) == name
