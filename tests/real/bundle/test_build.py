"""Whole builds, with a real interpreter and real packages."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle import build as build_module
from kit.deploy.bundle.build import build
from kit.deploy.bundle.interpreter import EXECUTABLE
from kit.model.errors import BuildError
from kit.project.catalog import Catalog


def test_a_project_made_by_kit_init_builds(demo: Any) -> None:
    assert demo.functions == ["kit-api-publish.mjs", "kit-workflows.mjs"]
    assert demo.manifest["workflows"] == {"publish-draft": "functions/workflows/publish_draft.py"}
    assert demo.manifest["functions"] == {"publish": "functions/api/publish.py"}
    assert sorted(path.name for path in demo.bundle.iterdir()) == [
        "app",
        "manifest.json",
        "python",
        "runtime",
        "site",
    ]
    assert {finding.code for finding in demo.report.findings} >= {"BUILD_NO_KEY"}


def test_without_user_dependencies_a_function_has_15_mb(demo: Any) -> None:
    if demo.builder.use_running:
        pytest.skip("this machine's own interpreter may be of any size")
    assert demo.report.total.zipped <= 15_000_000


def test_everything_in_it_is_plain(demo: Any) -> None:
    for path in demo.bundle.rglob("*"):
        assert not path.is_symlink()
        assert path.stat().st_mtime == 315_532_800
        assert path.stat().st_mode & 0o777 == (
            0o755 if path.is_dir() else path.stat().st_mode & 0o755
        )
    assert (demo.bundle / "python" / EXECUTABLE).stat().st_mode & 0o111 == 0o111


def test_nothing_in_it_says_where_it_was_built(demo: Any) -> None:
    for path, content in ((p, p.read_bytes()) for p in demo.bundle.rglob("*") if p.is_file()):
        assert str(demo.root).encode() not in content, path
        assert str(Path(sys.executable).parent.parent).encode() not in content, path


def test_all_bytecode_is_believed_without_its_source(demo: Any) -> None:
    compiled = list(demo.bundle.rglob("*.pyc"))

    assert len(compiled) > 400
    # PEP 552: bit 0 says hash, bit 1 says check it
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {1}


def test_the_projects_own_files_keep_their_source(demo: Any) -> None:
    folder = demo.bundle / "app/functions/workflows"

    assert (folder / "publish_draft.py").is_file()
    assert [path.suffix for path in (folder / "__pycache__").iterdir()] == [".pyc"]


def test_a_second_build_changes_nothing_and_takes_less_than_a_second(site: Any) -> None:
    before, began = site.contents(), os.times()
    report = site.build()

    took = os.times()
    assert report.changed == ()
    assert site.contents() == before
    # of processor time: a machine may be busy
    assert sum(took[:4]) - sum(began[:4]) < 1


def test_a_change_of_the_project_leaves_interpreter_and_packages_alone(site: Any) -> None:
    told: dict[str, str] = {}
    site.workflow("second")
    site.workflow("alone", "max_retries=0")

    report = site.build(observe=told.__setitem__)

    assert "unchanged" in told["python"]
    assert "unchanged" in told["site"]
    assert told["workflows"] == "3"
    assert len(report.changed) == 2
    assert set(site.manifest["workflows"]) == {"alone", "publish-draft", "second"}
    assert len(site.functions) == 3

    (site.root / "functions/workflows/alone.py").unlink()
    assert len(site.build().changed) == 1
    assert site.functions == ["kit-api-publish.mjs", "kit-workflows.mjs"]


def test_per_workflow_each_has_its_own_function(site: Any) -> None:
    site.workflow("second")

    site.build({"WORKFLOW_BUNDLE": "per-workflow"})

    assert site.functions == [
        "kit-api-publish.mjs",
        "kit-workflow-publish-draft.mjs",
        "kit-workflow-second.mjs",
    ]


def test_settings_of_the_file_travel_but_no_key(site: Any) -> None:
    site.write("kit.yaml", "workflow:\n  store: blobs\n  apiKey: hush\n  provider: local\n")

    site.build()

    assert not [p for p in site.bundle.rglob("*") if p.is_file() and b"hush" in p.read_bytes()]
    text = (site.bundle / "app/pyproject.toml").read_text()
    assert text.splitlines()[1:] == ["[tool.kit.workflow]", 'store = "blobs"']


def test_what_is_listed_is_bundled_wherever_it_lies(site: Any) -> None:
    folders = ("build", "dist", "docs", "tests", "venv", "env", "site-packages", "test-mail")
    for folder in folders:
        site.workflow(f"{folder}/flow")
    for name in ("conftest", "setup", "test_flow"):
        site.workflow(name)
    site.write("functions/api/tests/ping.py", "def get(request): ...\n")

    report = site.build()

    listed = Catalog.of(site.build_options().config).names()
    assert len(listed) == 1 + len(folders) + 3
    assert set(site.manifest["workflows"]) == set(listed)
    assert "/api/tests/ping" in {each.get("path") for each in report.to_json()["functions"]}


def test_a_bundle_that_lacks_a_listed_workflow_is_an_error(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ["functions/workflows/publish_draft.py", "functions/workflows/lost.py"]
    monkeypatch.setattr(build_module, "workflow_files", lambda *_, **__: listed)

    with pytest.raises(BuildError, match=r"lacks the workflow of functions/workflows/lost\.py"):
        site.build()


def test_secrets_stay_out_of_the_bundle_and_are_told(site: Any) -> None:
    names = ("token.json", "client_secret_1.json", "credentials", "password.txt", "env.production")
    for name in (*names, "id_ed25519", "x.tfstate", "x.sqlite3"):
        site.write(f"functions/workflows/{name}", "hush-hush")
    site.write("functions/workflows/deploy.txt", "MY_TOKEN=hush-hush\n")
    site.write("functions/workflows/words.txt", "not hush at all")

    report = site.build()

    files = [path for path in site.bundle.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hush-hush" in path.read_bytes()]
    assert (site.bundle / "app/functions/workflows/words.txt").is_file()
    assert len(report.left_out) == len(names) + 4
    assert [each.code for each in report.findings].count("BUILD_SECRET_LEFT_OUT") == len(names) + 4
    assert "functions/workflows/deploy.txt" in "\n".join(report.details())

    site.write("kit.yaml", "workflow:\n  include: [functions/workflows/token.json]\n")
    assert "functions/workflows/token.json" not in site.build().left_out
    assert (site.bundle / "app/functions/workflows/token.json").is_file()


def test_a_link_to_what_lies_elsewhere_is_refused(site: Any) -> None:
    site.write(".env", "AWL_API_KEY=hush")
    (site.root / "functions/workflows/notes.txt").symlink_to("../../.env")

    with pytest.raises(BuildError, match=r"notes\.txt is a link that leads out of its folder"):
        site.build()


@pytest.mark.skipif(sys.platform != "linux", reason="the copy is for Linux")
def test_the_running_interpreter_is_copied_on_request(site: Any) -> None:
    options = site.build_options(
        {"WORKFLOW_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}"}
    )

    report = build(replace(options, use_running=True))

    # what it needs of this machine is told, but is no error: it was asked for
    assert {finding.level for finding in report.findings} == {"warning", "note"}
    assert report.python == ".".join(map(str, sys.version_info[:3]))
    copy = site.bundle / "python"
    done = subprocess.run(
        [copy / EXECUTABLE, "-c", "import sys, json; print(sys.prefix)"],
        capture_output=True,
        text=True,
        env={"LD_LIBRARY_PATH": str(copy / "lib")},
    )
    assert done.stdout.strip() == str(copy), done.stderr


def test_import_times_are_taken_on_request(site: Any) -> None:
    times = site.build(measure=True).times

    assert set(times) == {"publish-draft"}
    assert 5 < times["publish-draft"] < 60_000


def test_a_fixed_moment_may_be_given(demo: Any, tmp_path: Path) -> None:
    site = demo.copy(tmp_path / "site")  # whose files get other times
    moment = int(time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0)))

    site.build({"SOURCE_DATE_EPOCH": str(moment)})

    assert {path.stat().st_mtime for path in site.bundle.rglob("*")} == {moment}
