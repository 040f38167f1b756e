import tomllib
from pathlib import Path

import pytest

from kit.deploy.bundle.app import copy, find_sources, import_paths, is_secret
from kit.deploy.bundle.tree import files_in
from kit.project.config import load


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


def test_python_is_taken_and_the_data_that_lies_among_it(tmp_path: Path) -> None:
    wanted = [
        "functions/workflows/a.py",
        "functions/workflows/prompts/hello.txt",
        "lib/data/deep/table.csv",
        "lib/mail.py",
        "main.py",
    ]
    fill(tmp_path, *wanted)
    fill(
        tmp_path,
        *(
            "README.md",
            "kit.yaml",
            "package.json",
            "data.csv",
            "public/index.html",
            "schemas/a.json",
        ),
        *("functions/kit-workflows.mjs", "lib/a.js", "lib/__pycache__/mail.pyc", "lib/a.pyi"),
        *(".venv/lib/x.py", "env/lib/x.py", "node_modules/x.py", ".git/x.py", ".kit/bundle/x.py"),
        *("tests/test_a.py", "lib/tests/conftest.py", "lib/test_mail.py", "dist/x.py", "setup.py"),
        *("other/pyvenv.cfg", "other/x.py", "demo.egg-info/x.py", ".hidden.py", "lib/.env"),
    )

    assert list(find_sources(tmp_path).paths) == wanted


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("server.key", True),
        ("cert.PEM", True),
        ("id_rsa", True),
        ("credentials.json", True),
        ("my-credentials.yaml", True),
        ("service-account-prod.json", True),
        ("secrets.toml", True),
        ("prod.env", True),
        ("keys.json", False),
        ("secrets.py", False),
        ("credentials.py", False),
        ("table.csv", False),
    ],
)
def test_what_may_be_a_secret_is_told_by_its_name(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_secrets_are_left_out_and_said(tmp_path: Path) -> None:
    fill(tmp_path, "lib/a.py", "lib/server.key", "lib/.env", "other/x.key", ".env")

    found = find_sources(tmp_path)

    assert (found.paths, found.secrets) == (("lib/a.py",), ("lib/server.key",))


def test_links_are_followed_within_the_project_only(tmp_path: Path) -> None:
    root = tmp_path / "project"
    fill(root, "lib/a.py")
    fill(tmp_path, "outside/b.py")
    (root / "lib/inner.py").symlink_to("a.py")
    (root / "lib/outer.py").symlink_to(tmp_path / "outside/b.py")
    (root / "folder").symlink_to(tmp_path / "outside")

    assert find_sources(root).paths == ("lib/a.py", "lib/inner.py")


def test_the_kits_own_repository_does_not_bundle_the_kit_twice(tmp_path: Path) -> None:
    fill(tmp_path, "kit/__init__.py", "functions/workflows/a.py")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Netlify_Workflow.Kit"\n')

    assert find_sources(tmp_path).paths == ("functions/workflows/a.py",)


def test_settings_travel_in_a_form_python_reads_by_itself(tmp_path: Path) -> None:
    fill(tmp_path, "project/lib/a.py")
    settings: dict[str, str | int] = {"store": "blobs", "concurrency": 5, "folder": 'a "b" \\ ü'}

    copy(tmp_path / "project", find_sources(tmp_path / "project"), settings, tmp_path / "app")

    assert sorted(files_in(tmp_path / "app")) == ["lib/a.py", "pyproject.toml"]
    written = tomllib.loads((tmp_path / "app/pyproject.toml").read_text())
    assert written == {"tool": {"kit": {"workflow": settings}}}
    assert load(tmp_path / "app", environ={}).get_workflow().store == "blobs"


def test_modules_below_src_are_found(tmp_path: Path) -> None:
    assert import_paths(tmp_path) == ()
    fill(tmp_path, "src/pkg/__init__.py")
    assert import_paths(tmp_path) == ("src",)
    fill(tmp_path, "src/__init__.py")
    assert import_paths(tmp_path) == ()
