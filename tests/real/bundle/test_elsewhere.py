"""A bundle in other places: another folder, another root, built on another kind of machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.deploy.bundle.interpreter import EXECUTABLE, obtain
from kit.deploy.bundle.target import Machine
from kit.model.errors import BuildError

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
    shutil.copytree(demo.bundle, root / "var/task", copy_function=os.link)
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


NATIVE = """
from kit import define_workflow
from pydantic import BaseModel
from numbers_of_mine import total

class Numbers(BaseModel):
    values: list[float]

@define_workflow
def average(input: Numbers):
    return total(input.values) / len(input.values)
"""


def test_native_packages_and_modules_of_ones_own(site: Any, tmp_path: Path) -> None:
    site.write(
        "pyproject.toml", '[project]\nname = "x"\ndependencies = ["psycopg2-binary", "pydantic"]\n'
    )
    site.write("functions/workflows/average.py", NATIVE)
    module = "import psycopg2\n\ndef total(values):\n    return sum(values)\n"
    site.write("src/numbers_of_mine.py", module)

    report = site.build()

    assert any(part.startswith("psycopg2-binary ") for part in report.parts)
    assert site.manifest["paths"] == ["site", "app/src"]
    assert list((site.bundle / "site/psycopg2").rglob("*linux-gnu.so"))

    # in another folder and on a Mac, where the bundle cannot be started: the same bytes
    there = site.elsewhere(tmp_path / "somewhere" / "else")
    _build_on_a_mac(there, tmp_path)
    assert there.contents() == site.contents()
    assert there.functions == site.functions
    for name in site.functions:
        ours, theirs = (root / "functions" / name for root in (site.root, there.root))
        assert ours.read_bytes() == theirs.read_bytes()


def _build_on_a_mac(there: Any, tmp_path: Path) -> None:
    """Build with a Python of the machine's own to compile with, and packages installed there."""
    if there.builder.use_running:
        there.build()  # which is none that could be in the bundle of another machine
        return
    cache = there.root / ".kit/cache/python"
    version = there.build_options().config.get_workflow().python or "3"
    folder = obtain(version, cache, there.builder.environ).folder / "bin"
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/psycopg2.py").write_text("")
    environ = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "packages"), str(there.root / "src")])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        assert there.build(environ, machine=Machine("Darwin", "arm64")).times == {}


def test_a_mac_without_that_python_is_told_what_to_install(
    new: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if new.builder.environ.get("WORKFLOW_PYTHON", own) == own:
        pytest.skip("the interpreter is the running one's twin, which can compile")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BuildError, match=r"cannot run on this machine[\s\S]* install one"):
        new.build(machine=Machine("Darwin", "arm64"))
