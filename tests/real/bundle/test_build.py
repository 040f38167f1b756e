"""Whole builds, with a real interpreter and real packages."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle import build as build_module
from kit.deploy.bundle.build import build, clear
from kit.deploy.bundle.interpreter import EXECUTABLE, obtain
from kit.deploy.bundle.target import GLIBC, Machine
from kit.model.errors import BuildError
from kit.project.catalog import Catalog
from tests.support.binaries import binary

LIBRARIES = "libc libm libdl libpthread librt libutil libgcc_s libcrypt libresolv"
START = (
    "import sys; sys.path += sys.argv[1:]; from pathlib import Path;"
    " from kit.deploy.function.loading import Loader;"
    " from kit.deploy.function.manifest import read_manifest;"
    " place = Loader(read_manifest(Path(sys.argv[1]).parent));"
    " import asyncio, ssl, zoneinfo, ctypes, decimal, hashlib, lzma, bz2, uuid, kit.client.api;"
    " print(place.workflow('PUBLISH-draft').event_name, place.function('publish').__name__)"
)


def start(bundle: Path, *before: str, at: str | None = None, **options: Any) -> str:
    """Import a workflow as the deployed function does, and return what was printed."""
    seen = at or str(bundle)
    command = [*before, f"{seen}/python/{EXECUTABLE}", "-s", "-P", "-c", START]
    done = subprocess.run(
        [*command, f"{seen}/site", f"{seen}/app"],
        capture_output=True,
        text=True,
        env={"LANG": "C.UTF-8"},
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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


def test_a_build_elsewhere_comes_to_the_same_bytes(demo: Any, new: Any) -> None:
    new.build()

    assert new.contents() == demo.contents()
    for name in demo.functions:
        ours, theirs = (root / "functions" / name for root in (new.root, demo.root))
        assert ours.read_bytes() == theirs.read_bytes()


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


def test_the_bundle_starts_anywhere_read_only_and_on_its_own(demo: Any, tmp_path: Path) -> None:
    bundle = shutil.copytree(demo.bundle, tmp_path / "other place")
    for path in [bundle, *bundle.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o555)
    try:
        assert start(bundle, cwd="/") == "publish-draft functions.api.publish"
    finally:
        for path in [bundle, *bundle.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


def test_it_needs_nothing_of_the_system_but_c_libraries(demo: Any, tmp_path: Path) -> None:
    chroot = shutil.which("chroot")
    if os.geteuid() or chroot is None or demo.builder.use_running:
        pytest.skip("needs root to change the root, and a relocatable interpreter")
    root = tmp_path / "root"
    shutil.copytree(demo.bundle, root / "var/task")
    for library in _libraries():
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)

    said = start(demo.bundle, chroot, str(root), at="/var/task", cwd="/")

    assert said == "publish-draft functions.api.publish"


def _libraries() -> Iterator[Path]:
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
    for name, path in re.findall(r"^\s+(\S+) \(libc6,x86-64.*\) => (\S+)$", listing, re.M):
        if name.split(".")[0] in LIBRARIES.split() or name.startswith("ld-linux"):
            yield Path(path)
    yield Path("/lib64/ld-linux-x86-64.so.2")


NUMPY = """
from kit import define_workflow
from pydantic import BaseModel
from numbers_of_mine import total

class Numbers(BaseModel):
    values: list[float]

@define_workflow
def average(input: Numbers):
    return total(input.values) / len(input.values)
"""


def test_native_packages_and_modules_of_ones_own(new: Any, tmp_path: Path) -> None:
    new.write("pyproject.toml", '[project]\nname = "x"\ndependencies = ["numpy", "pydantic"]\n')
    new.write("functions/workflows/average.py", NUMPY)
    module = "import numpy\n\ndef total(values):\n    return float(numpy.array(values).sum())\n"
    new.write("src/numbers_of_mine.py", module)

    report = new.build()

    assert any(part.startswith("numpy ") for part in report.parts)
    assert new.manifest["paths"] == ["site", "app/src"]
    assert list((new.bundle / "site/numpy").rglob("*linux-gnu.so"))
    linux = new.contents()

    # the same on a Mac, where the bundle cannot be started: the same bytes
    shutil.rmtree(new.root / ".kit/bundle")
    report = _build_on_a_mac(new, tmp_path)
    assert report.times == {}
    assert new.contents() == linux


def _build_on_a_mac(new: Any, tmp_path: Path) -> Any:
    """Build with a Python of the machine's own to compile with, and packages installed there."""
    if new.builder.use_running:
        pytest.skip("there is no interpreter but the running one")
    cache = new.root / ".kit/cache/python"
    version = new.build_options().config.get_workflow().python or "3"
    folder = obtain(version, cache, new.builder.environ).folder / "bin"
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/numpy.py").write_text("")
    environ = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "packages"), str(new.root / "src")])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return new.build(environ, machine=Machine("Darwin", "arm64"))


def test_a_mac_without_that_python_is_told_what_to_install(
    new: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if new.builder.environ.get("WORKFLOW_PYTHON", own) == own:
        pytest.skip("the interpreter is the running one's twin, which can compile")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BuildError, match=r"cannot run on this machine[\s\S]* install one"):
        new.build(machine=Machine("Darwin", "arm64"))


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

    assert failure(site, check=True).code == "BUILD_NO_KEY"
    report = site.build({"AWL_API_KEY": "k"}, check=True)

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


@pytest.mark.skipif(sys.platform != "linux", reason="the copy is for Linux")
def test_the_running_interpreter_is_taken_on_request(site: Any) -> None:
    options = site.build_options(
        {"WORKFLOW_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}"}
    )

    report = build(replace(options, use_running=True))

    # what it needs of this machine is told, but is no error: it was asked for
    assert {finding.level for finding in report.findings} == {"warning"}
    assert report.python == ".".join(map(str, sys.version_info[:3]))


def test_import_times_are_taken_on_request(site: Any) -> None:
    times = site.build(measure=True).times

    assert set(times) == {"publish-draft"}
    assert 5 < times["publish-draft"] < 60_000


def test_windows_is_sent_elsewhere(site: Any) -> None:
    assert failure(site, machine=Machine("Windows", "AMD64")).code == "BUILD_NOT_HERE"


def test_a_fixed_moment_may_be_given(site: Any) -> None:
    moment = int(time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0)))

    site.build({"SOURCE_DATE_EPOCH": str(moment)})

    assert {path.stat().st_mtime for path in site.bundle.rglob("*")} == {moment}
