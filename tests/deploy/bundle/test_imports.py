"""What of the kit goes into a function: all that it can import, and no more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import kit
from kit.deploy.bundle.imports import reached
from kit.deploy.bundle.packages import KIT_SOURCE, kit_files

IMPORT_ALL = """
import importlib, json, sys
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
import kit
for name in kit.__all__:
    getattr(kit, name)
print(json.dumps([failed, kit.__file__]))
"""
START_ONE = """
import asyncio
from kit import WorkflowError, run_workflow
try:
    asyncio.run(run_workflow("publish-draft"))
except WorkflowError as error:
    print(type(error).__name__, error.message)
"""


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the kit as a function has it."""
    place = tmp_path_factory.mktemp("bundle") / "site"
    for path in kit_files():
        target = place / "kit" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(KIT_SOURCE / path, target)
    return place


def run(place: Path, source: str, given: Any = None, environ: Mapping[str, str] = {}) -> str:
    """Run *source* where the kit is that of *place*; packages are those of this environment."""
    packages = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    paths = [str(place), *packages]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {paths!r}\n{source}"],
        input=json.dumps(given),
        cwd=place,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_in_the_bundle_can_be_imported_there(place: Path) -> None:
    names = [path.removesuffix(".py").removesuffix("/__init__") for path in kit_files()]
    dotted = [f"kit.{name.replace('/', '.')}" for name in names if name != "__init__"]

    failed, origin = json.loads(run(place, IMPORT_ALL, dotted))

    assert failed == {}
    assert origin == str(place / "kit" / "__init__.py")


def test_what_only_a_developer_enters_is_not_in_it() -> None:
    apart = ("cli/", "dev/", "deploy/bundle/", "engine/", "store/sqlite/", "templates/", "testing/")

    assert [path for path in kit_files() if path.startswith(apart)] == []
    assert {"deploy/function/serve.py", "client/netlify.py", "sync.py"} <= set(kit_files())


def test_the_local_provider_in_a_function_is_refused_in_words(place: Path) -> None:
    environ = {"WORKFLOW_PROVIDER": "local", "KIT_ENTRY": "1"}

    said = run(place, START_ONE, environ=environ)

    assert said.startswith("ConfigError the provider is 'local' (environment WORKFLOW_PROVIDER)")
    assert "a deployed function has no engine" in said


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def package(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").touch()


def test_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    package(tmp_path, ".", "a", "b", "c")
    write(
        tmp_path,
        a__one="import os, kit.a.two\ndef late():\n    from kit.b import three\n",
        a__two="from kit.c.four import x",
        b__three="class K:\n    async def f(self):\n        import kit.c.five",
        c__four="x = 1",
        c__five="import json",
        c__six="",
    )

    found = reached(tmp_path, ["kit.a.one"])

    assert found == [
        "__init__.py",
        *("a/__init__.py", "a/one.py", "a/two.py"),
        *("b/__init__.py", "b/three.py"),
        *("c/__init__.py", "c/five.py", "c/four.py"),
    ]


def test_what_only_type_checkers_import_is_left_out(tmp_path: Path) -> None:
    package(tmp_path, ".", "a")
    write(
        tmp_path,
        a__one="if TYPE_CHECKING:\n    import kit.a.two\nelse:\n    import kit.a.three\n",
        a__two="",
        a__three="if typing.TYPE_CHECKING:\n    from kit.a.two import x\n",
    )

    assert reached(tmp_path, ["kit.a.one"]) == [
        *("__init__.py", "a/__init__.py", "a/one.py", "a/three.py")
    ]


def test_a_whole_package_and_programs_are_places_to_begin(tmp_path: Path) -> None:
    package(tmp_path, ".", "a", "b")
    write(tmp_path, a__one="", a__two="", b__three="", b__four="")
    program = tmp_path.parent / "program.py"
    program.write_text("def main():\n    from kit.b.three import x\n")

    found = reached(tmp_path, ["kit.a.*"], [program])

    assert found == [
        "__init__.py",
        "a/__init__.py",
        "a/one.py",
        "a/two.py",
        "b/__init__.py",
        "b/three.py",
    ]


def test_every_public_name_is_reached() -> None:
    homes = {getattr(kit, name).__module__ for name in kit.__all__}

    files = {home.removeprefix("kit.").replace(".", "/") + ".py" for home in homes}
    assert files <= set(kit_files())
