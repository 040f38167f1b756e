"""Builds that are refused, and what is said of them; and builds that are asked for something."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle.build import build, clear
from kit.deploy.bundle.target import GLIBC, Machine
from kit.model.errors import BuildError
from tests.support.binaries import binary


def failure(project: Any, environ: dict[str, str] | None = None, **options: Any) -> BuildError:
    with pytest.raises(BuildError) as caught:
        project.build(environ or {}, **options)
    return caught.value


def test_a_workflow_that_does_not_import_in_the_bundle(site: Any) -> None:
    before = (site.root / "functions/kit-workflows.mjs").read_text()
    # installed here, for `kit build`, but not a need of the project
    site.write("functions/workflows/rich_one.py", "import rich\n")

    error = failure(site)

    assert error.code == "BUILD_IMPORT_FAILED"
    assert "rich: put the package that has it into [project] dependencies" in error.message
    assert (site.root / "functions/kit-workflows.mjs").read_text() == before


def test_a_package_without_a_linux_wheel(site: Any, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "onlymac-1.0-py3-none-macosx_11_0_arm64.whl").write_bytes(b"PK\x05\x06" + bytes(18))
    site.write("pyproject.toml", '[project]\nname = "x"\ndependencies = ["onlymac"]\n')

    error = failure(site, {"UV_FIND_LINKS": str(wheels)})

    assert error.code == "BUILD_NO_WHEEL"
    assert "onlymac" in error.message


def test_a_symbol_newer_than_netlifys_glibc(site: Any) -> None:
    newer = f"GLIBC_{GLIBC[0]}.{GLIBC[1] + 1}"
    site.write("functions/workflows/native/fast.so", binary((newer,), ("libc.so.6",)))
    site.write("functions/workflows/native/_init.py")

    error = failure(site)

    assert error.code == "BUILD_BINARY"
    assert "app/functions/workflows/native/fast.so needs glibc 2.35" in error.message


def test_too_large(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.deploy.bundle.checks.MAX_ZIPPED", 1_000_000)

    error = failure(site)

    assert error.code == "BUILD_TOO_LARGE"
    assert "The largest parts: python 3" in error.message


def test_a_name_collision_with_a_users_file(site: Any) -> None:
    site.write("functions/kit-workflow-second.ts", "// mine")
    site.workflow("second")

    error = failure(site, {"WORKFLOW_BUNDLE": "per-workflow"})

    assert error.code == "BUILD_NAME_TAKEN"
    assert "kit-workflow-second.ts" in error.message
    assert "kit-workflow-second.mjs" in error.message


def test_the_library_is_not_installed(site: Any) -> None:
    shutil.rmtree(site.root / "node_modules")

    assert failure(site).code == "BUILD_NO_LIBRARY"


def test_no_key_on_netlifys_builder(site: Any) -> None:
    assert failure(site, {"NETLIFY": "true"}).code == "BUILD_NO_KEY"
    assert "BUILD_NO_KEY" not in str(site.build({"AWL_API_KEY": "k"}).findings)


def test_checking_writes_no_function_and_takes_warnings_for_errors(site: Any) -> None:
    if site.builder.use_running:
        pytest.skip("the running interpreter's glibc is a warning of its own, so an error here")
    site.workflow("other", "max_retries=9")

    toml = site.root / "netlify.toml"
    given = toml.read_text()
    toml.write_text("")
    assert failure(site, check=True).code == "BUILD_NO_FOLDER"
    toml.write_text(given)
    report = site.build(check=True)

    assert len(report.entries) == 3
    assert report.changed == ()
    assert len(site.functions) == 2


def test_where_there_is_nothing_to_build_entries_are_removed(site: Any) -> None:
    shutil.rmtree(site.root / "functions/workflows")
    shutil.rmtree(site.root / "functions/api")

    report = site.build()

    assert [finding.code for finding in report.findings] == ["BUILD_NOTHING"]
    assert site.functions == []


def test_switched_off_entries_are_removed(site: Any) -> None:
    site.write("kit.yaml", "workflow: false\n")
    site.write("functions/mine.mjs", "// mine")

    assert clear(site.build_options(check=True)) == []
    assert clear(site.build_options()) == ["kit-api-publish.mjs", "kit-workflows.mjs"]
    assert site.functions == ["mine.mjs"]


def test_the_running_interpreter_must_have_the_version_that_is_wanted(site: Any) -> None:
    options = site.build_options({"WORKFLOW_PYTHON": "3.99"})

    with pytest.raises(BuildError, match=r"Build without --python running"):
        build(replace(options, use_running=True))


def test_windows_is_sent_elsewhere(site: Any) -> None:
    assert failure(site, machine=Machine("Windows", "AMD64")).code == "BUILD_NOT_HERE"
