import tomllib
from pathlib import Path

import pytest

from kit.deploy.bundle.app import copy, find_sources, import_paths
from kit.deploy.bundle.findings import judge_sources
from kit.deploy.bundle.tree import files_in
from kit.model.errors import BuildError
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


WHOLE = ("functions/workflows", "functions/api")


def test_below_workflows_and_api_nothing_is_left_out(tmp_path: Path) -> None:
    names = ("build", "dist", "docs", "env", "site-packages", "tests", "venv", "x.egg-info")
    wanted = [
        f"functions/{folder}/{name}/a.py" for folder in ("workflows", "api") for name in names
    ]
    wanted += ["functions/workflows/test_mail.py", "functions/workflows/conftest.py"]
    wanted += [
        "functions/workflows/setup.py",
        "functions/workflows/ui/page.js",
        "functions/api/a.log",
    ]
    fill(tmp_path, *wanted, "functions/workflows/venv/pyvenv.cfg", "functions/test_other.py")
    fill(tmp_path, "functions/api/.hidden.py", "functions/api/__pycache__/a.pyc", "tests/a.py")
    fill(tmp_path, "functions/workflows/node_modules/a.py")

    found = find_sources(tmp_path, whole=WHOLE)

    assert set(found.paths) == {*wanted, "functions/workflows/venv/pyvenv.cfg"}


def test_folders_may_lie_where_nothing_else_is_taken_from(tmp_path: Path) -> None:
    fill(tmp_path, "build/flows/a.py", "build/other/b.py", ".hidden/flows/c.py", ".hidden/d.py")

    assert find_sources(tmp_path, whole=["build/flows"]).paths == (
        *("build/flows/a.py", "build/other/b.py"),
    )
    assert ".hidden/flows/c.py" in find_sources(tmp_path, whole=[".hidden/flows"]).paths


def test_secrets_are_left_out_and_said(tmp_path: Path) -> None:
    fill(tmp_path, "lib/a.py", "lib/server.key", "lib/.env", "other/x.key", ".env")
    (tmp_path / "lib/notes.txt").write_text("DATABASE_PASSWORD=correct-horse\n")
    (tmp_path / "lib/keys.py").write_text(f"A = 1\nKEY = 'AKIA{'Q' * 16}'\n")

    found = find_sources(tmp_path)

    assert found.paths == ("lib/a.py", "lib/keys.py")
    assert found.left_out == {
        "lib/notes.txt": "seems to hold a variable that is a secret",
        "lib/server.key": "may hold a secret by its name",
    }
    assert found.keys == {"lib/keys.py": "line 2 of lib/keys.py seems to hold a key of AWS"}


def test_the_same_goes_for_files_beside_workflows(tmp_path: Path) -> None:
    fill(tmp_path, "functions/workflows/a.py", "functions/workflows/token.json")

    assert find_sources(tmp_path, whole=WHOLE).paths == ("functions/workflows/a.py",)


def test_links_are_followed_within_their_folder_only(tmp_path: Path) -> None:
    root = tmp_path / "project"
    fill(root, "lib/a.py", "lib/deep/b.txt", ".env", "lib/.hidden/x.txt", "lib/token.json")
    fill(tmp_path, "outside/b.py")
    links = {
        "lib/inner.py": "a.py",
        "lib/deeper.txt": "deep/b.txt",
        "lib/plain.txt": "../.env",
        "lib/plainer.txt": ".hidden/x.txt",
        "lib/other.txt": "token.json",
        "lib/outer.py": "../../outside/b.py",
        "lib/deep/up.py": "../a.py",
        "lib/broken.py": "nowhere.py",
        "folder": "../outside",
        "functions": "lib",
    }
    for link, target in links.items():
        (root / link).symlink_to(target)

    found = find_sources(root)

    assert found.paths == ("lib/a.py", "lib/deep/b.txt", "lib/deeper.txt", "lib/inner.py")
    assert set(found.links) == {
        *("lib/plain.txt", "lib/plainer.txt", "lib/outer.py", "lib/deep/up.py"),
        *("lib/broken.py", "folder"),
    }
    assert set(found.left_out) == {"lib/other.txt", "lib/token.json"}


def test_links_to_folders_are_refused_where_every_file_counts(tmp_path: Path) -> None:
    fill(tmp_path, "shared/a.py", "functions/workflows/b.py")
    (tmp_path / "functions/workflows/more").symlink_to(tmp_path / "shared")

    found = find_sources(tmp_path, whole=WHOLE)

    assert found.links == {"functions/workflows/more": str(tmp_path / "shared")}


def test_what_is_included_on_purpose_is_taken(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "lib/a.py",
        "lib/server.key",
        "tests/data.json",
        "README.md",
        "x/.dot",
        "lib/b.key",
    )
    fill(tmp_path, ".kit/bundle/app/lib/server.key", "node_modules/a/server.key")
    (tmp_path / "lib/link.txt").symlink_to("../README.md")
    include = ("lib/server.key", "tests/*.json", "README.md", "x/.dot", "lib/link.txt", "none/*")

    found = find_sources(tmp_path, include=include)

    assert found.paths == (
        *("README.md", "lib/a.py", "lib/link.txt", "lib/server.key", "tests/data.json", "x/.dot"),
    )
    assert (set(found.left_out), found.links, found.unmatched) == ({"lib/b.key"}, {}, ("none/*",))
    everywhere = find_sources(tmp_path, include=["**/*.key"]).paths
    assert [path for path in everywhere if path.endswith(".key")] == ["lib/b.key", "lib/server.key"]


def test_the_projects_settings_go_in_one_form_only(tmp_path: Path) -> None:
    fill(tmp_path, "lib/a.py", "kit.yaml", "pyproject.toml", "README.md")

    assert find_sources(tmp_path, include=["*"]).paths == ("README.md", "lib/a.py")


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "lib/a.py")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BuildError, match=r"lib/a\.py cannot be read: Permission denied"):
        find_sources(tmp_path)


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


def test_modules_that_hide_others_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "json.py", "socket/__init__.py", "kit/__init__.py", "lib/json.py", "mail.py")

    found = [each.text for each in judge_sources(find_sources(tmp_path))]

    assert [text.split(" ")[0] for text in found] == [
        *("json.py", "kit/__init__.py", "socket/__init__.py"),
    ]
    assert "a module of the kit" in found[1]


def test_a_link_to_a_folder_has_words_of_its_own(tmp_path: Path) -> None:
    fill(tmp_path, "shared/a.py", "functions/workflows/b.py")
    (tmp_path / "functions/workflows/more").symlink_to(tmp_path / "shared")

    (finding,) = judge_sources(find_sources(tmp_path, whole=WHOLE))

    assert "is a link to a folder" in finding.text
    assert 'include: ["functions/workflows/more/**/*"]' in finding.text


def test_a_folder_whose_data_would_be_missed_is_refused_and_may_be_included(tmp_path: Path) -> None:
    root = tmp_path / "project"
    fill(root, "lib/data/a.py", "assets/a.csv", "lib/inner/a.txt")
    fill(tmp_path, "outside/deep/b.csv")
    for link in ("lib/data/out", "assets/out", "venv", ".out", "lib/docs"):
        (root / link).symlink_to(tmp_path / "outside")
    (root / "lib/data/inner").symlink_to("../inner")
    (root / "lib/same").symlink_to("inner")

    assert set(find_sources(root).links) == {"lib/data/inner", "lib/data/out"}
    found = find_sources(root, include=["lib/data/out/**/*", "lib/data/inner/**/*"])
    assert not found.links
    assert {"lib/data/out/deep/b.csv", "lib/data/inner/a.txt"} <= set(found.paths)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "lib/a.py")
    (tmp_path / "lib/gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "lib/lost.json").symlink_to("lost")

    gone, lost = judge_sources(find_sources(tmp_path))

    assert gone.level == lost.level == "error"
    assert f"lib/gone.json is a link to {tmp_path / 'nowhere'}, where nothing is" in gone.text
    assert "lib/lost.json" in lost.text
