import pytest

from kit.deploy.bundle.prune import (
    OPTIONAL,
    keep_of_interpreter,
    mentions,
    unneeded_in_packages,
)


@pytest.mark.parametrize(
    "path",
    [
        "bin/python3.13",
        "lib/libpython3.13.so.1.0",
        "lib/libssl.so.3",
        "lib/python3.13/os.py",
        "lib/python3.13/asyncio/events.py",
        "lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so",
        "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
        "lib/python3.13/multiprocessing/pool.py",
        "lib/python3.13/encodings/shift_jis.py",
        "lib/python3.13/importlib/metadata/__init__.py",
    ],
)
def test_what_programs_need_is_kept(path: str) -> None:
    assert keep_of_interpreter(path, ())


@pytest.mark.parametrize(
    "path",
    [
        "BUILD",
        "bin/pip3",
        "bin/python3-config",
        "include/python3.13/Python.h",
        "lib/pkgconfig/python3.pc",
        "lib/tcl8.6/init.tcl",
        "lib/libtcl8.6.so",
        "lib/python3.13/EXTERNALLY-MANAGED",
        "lib/python3.13/__pycache__/os.cpython-313.pyc",
        "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile",
        "lib/python3.13/ensurepip/__init__.py",
        "lib/python3.13/idlelib/idle.py",
        "lib/python3.13/lib-dynload/_testcapi.cpython-313-x86_64-linux-gnu.so",
        "lib/python3.13/lib-dynload/_tkinter.cpython-313-x86_64-linux-gnu.so",
        "lib/python3.13/site-packages/pip/__init__.py",
        "lib/python3.13/test/test_os.py",
        "lib/python3.13/turtle.py",
        "lib/python3.11/ctypes/test/test_arrays.py",
        "lib/python3.11/distutils/tests/support.py",
        "lib/python3.11/lib2to3/tests/data/py3_test_grammar.py",
        "lib/python3.11/sqlite3/test/test_dbapi.py",
        "lib/python3.11/unittest/test/dummy.py",
        "lib/python3.13/_pydecimal.py",
        "share/man/man1/python3.1",
    ],
)
def test_what_they_do_not_need_is_not(path: str) -> None:
    assert not keep_of_interpreter(path, OPTIONAL)


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("sqlite3", "lib/python3.13/sqlite3/dbapi2.py"),
        ("sqlite3", "lib/python3.13/lib-dynload/_sqlite3.cpython-313-x86_64-linux-gnu.so"),
        ("sqlite3", "lib/libsqlite3.so.0"),
        ("unittest", "lib/python3.13/unittest/mock.py"),
        ("pdb", "lib/python3.13/pdb.py"),
    ],
)
def test_some_modules_come_only_where_they_are_mentioned(module: str, path: str) -> None:
    assert keep_of_interpreter(path, {module})
    assert not keep_of_interpreter(path, OPTIONAL - {module})


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (b"import sqlite3", {"sqlite3"}),
        (b"__import__('sqlite3')", {"sqlite3"}),
        (b"from unittest.mock import patch; import pdb", {"unittest", "pdb"}),
        (b"import aiosqlite3; my_pdb = 1; doctests", set()),
        (b"\0sqlite3\0", {"sqlite3"}),
    ],
)
def test_a_mention_is_the_name_as_a_word(code: bytes, found: set[str]) -> None:
    assert mentions(code) == found


def test_of_packages_what_only_developers_need_goes() -> None:
    kept = [
        "numpy/testing/__init__.py",
        "numpy/_core/_multiarray.cpython-313-x86_64-linux-gnu.so",
        "numpy-2.0.dist-info/METADATA",
        "numpy-2.0.dist-info/entry_points.txt",
        "tests/test_top.py",
        "pkg/tests/fixtures.py",
        "pkg/data/table.csv",
    ]
    gone = [
        ".lock",
        "bin/f2py",
        "numpy/__init__.pyi",
        "numpy/py.typed",
        "numpy/_core/include/numpy/arrayobject.h",
        "numpy/_core/tests/test_api.py",
        "numpy/_core/tests/data/big.bin",
        "numpy/__pycache__/x.cpython-313.pyc",
        "sniffio/_tests/test_sniffio.py",
        "numpy/random/lib/libnpyrandom.a",
        "numpy-2.0.dist-info/RECORD",
        "numpy-2.0.dist-info/direct_url.json",
        "numpy-2.0.dist-info/sboms/numpy.json",
    ]

    assert unneeded_in_packages([*kept, *gone]) == set(gone)


def test_stubs_stay_where_something_loads_by_them() -> None:
    paths = ["skimage/__init__.pyi", "lazy_loader/__init__.py"]

    assert unneeded_in_packages(paths) == set()


def test_command_lines_and_plugins_of_what_the_kit_brings_are_left_out():
    paths = ["httpx/_main.py", "httpx/_client.py", "dotenv/cli.py", "pydantic/mypy.py"]
    assert unneeded_in_packages(paths) == {"httpx/_main.py", "dotenv/cli.py", "pydantic/mypy.py"}
