import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.deploy.bundle import uv
from kit.deploy.bundle.interpreter import (
    DOWNLOADS,
    Interpreter,
    copy,
    executable_of,
    obtain,
    wanted_version,
)
from kit.deploy.bundle.tree import files_in
from kit.model.errors import BuildError

Make = Callable[..., bytes]


def installed(cache: Path, *versions: str) -> None:
    for version in versions:
        (cache / f"cpython-{version}-linux-x86_64-gnu").mkdir(parents=True)


@pytest.fixture(name="fake")
def _fake(tmp_path: Path, make_binary: Make) -> Interpreter:
    """A folder that looks like CPython 3.13.5 of python-build-standalone."""
    root = tmp_path / "cpython-3.13.5-linux-x86_64-gnu"
    files = {
        "BUILD": b"1",
        "bin/python3.13": make_binary(("GLIBC_2.17",), ("libc.so.6", "libssl.so.3")),
        "lib/libpython3.13.so.1.0": make_binary(),
        "lib/libssl.so.3": make_binary(),
        "lib/python3.13/os.py": b"",
        "lib/python3.13/pdb.py": b"import pydoc",
        "lib/python3.13/pydoc.py": b"",
        "lib/python3.13/unittest/mock.py": b"",
        "lib/python3.13/test/test_os.py": b"",
        "lib/python3.13/_sysconfigdata_x.py": f"prefix = {str(root)!r}".encode(),
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return Interpreter(root, "3.13.5")


def test_the_setting_decides_else_the_running_version() -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (wanted_version("3.13"), wanted_version(None)) == ("3.13", own)


@pytest.mark.parametrize(
    ("wanted", "found"), [("3.13", "3.13.10"), ("3.13.9", "3.13.9"), ("3.12", "3.12.1")]
)
def test_the_newest_that_fits_is_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, found: str
) -> None:
    installed(tmp_path, "3.13.9", "3.13.10", "3.12.1", "3.13.11+freethreaded")
    (tmp_path / "cpython-3.13-linux-x86_64-gnu").symlink_to(tmp_path)
    monkeypatch.setattr(uv, "run", None)

    assert obtain(wanted, tmp_path, {}).version == found


def test_it_is_downloaded_once_from_the_list_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def install(arguments: list[str], **_: object) -> None:
        asked.append(arguments)
        installed(tmp_path, "3.13.5")

    monkeypatch.setattr(uv, "run", install)
    for _ in range(2):
        found = obtain("3.13", tmp_path, {DOWNLOADS: "file:///list.json"})

    assert (found.version, found.minor, len(asked)) == ("3.13.5", "3.13", 1)
    assert asked[0][:3] == ["python", "install", "cpython-3.13-linux-x86_64-gnu"]
    assert asked[0][-2:] == ["--python-downloads-json-url", "file:///list.json"]


def test_one_that_cannot_be_had_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise uv.UvError("No download found")

    monkeypatch.setattr(uv, "run", fail)
    with pytest.raises(
        BuildError, match=r"CPython 3\.19 .* No download found\nCheck the"
    ) as caught:
        obtain("3.19", tmp_path, {})
    assert caught.value.code == "BUILD_NO_PYTHON"

    monkeypatch.setattr(uv, "run", lambda *_, **__: None)
    with pytest.raises(BuildError, match="uv installed no CPython"):
        obtain("3.19", tmp_path, {})


def test_a_copy_has_what_programs_need(fake: Interpreter, tmp_path: Path) -> None:
    copy(fake, {"pdb"}, tmp_path / "copy")

    assert sorted(files_in(tmp_path / "copy")) == [
        "bin/python3",
        "lib/libssl.so.3",
        "lib/python3.13/_sysconfigdata_x.py",
        "lib/python3.13/os.py",
        "lib/python3.13/pdb.py",
        "lib/python3.13/pydoc.py",  # pdb mentions it
    ]


def test_a_copy_does_not_say_where_it_is_from(fake: Interpreter, tmp_path: Path) -> None:
    copy(fake, (), tmp_path / "copy")

    text = (tmp_path / "copy/lib/python3.13/_sysconfigdata_x.py").read_text()
    assert text == "prefix = '/install'"


def test_pythons_library_stays_where_something_loads_it(
    fake: Interpreter, tmp_path: Path, make_binary: Make
) -> None:
    program = make_binary((), ("libpython3.13.so.1.0",))
    executable_of(fake).write_bytes(program)

    copy(fake, (), tmp_path / "copy")

    assert (tmp_path / "copy/lib/libpython3.13.so.1.0").is_file()
