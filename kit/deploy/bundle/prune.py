"""
What no function needs: of an interpreter's folder, and of installed packages.

Decided by path alone, so that it can be read as lists. Whatever this takes away wrongly shows in
the build: workflows are imported from the result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

_STDLIB_PACKAGES = frozenset({
    "__phello__", "_pyrepl", "ctypes/macholib", "curses", "ensurepip", "idlelib", "msilib",
    "pydoc_data", "site-packages", "dist-packages", "tkinter", "turtledemo", "venv",
})  # fmt: skip
_STDLIB_MODULES = frozenset({
    "__hello__", "_aix_support", "_android_support", "_apple_support", "_ios_support",
    "_osx_support", "_pydatetime", "_pydecimal", "_pyio", "antigravity", "this", "turtle",
})  # fmt: skip
_TESTS = frozenset({"test", "tests", "_tests"})
"""Folders that hold the tests of what they lie in, and their data: some had 500 kB, in lib2to3."""

OPTIONAL = frozenset({
    "cProfile", "cgi", "cgitb", "distutils", "doctest", "ftplib", "imaplib", "lib2to3", "mailbox",
    "nntplib", "optparse", "pdb", "pickletools", "poplib", "pydoc", "smtpd", "sqlite3",
    "telnetlib", "unittest", "wsgiref", "xmlrpc",
})  # fmt: skip
"""Modules of the standard library that are taken only where something mentions them."""

_ALONG = {"sqlite3": ("lib-dynload/_sqlite3.", "libsqlite3.so")}
_MENTION = re.compile(
    rb"(?<![\w])(?:" + b"|".join(name.encode() for name in OPTIONAL) + rb")(?![\w])"
)
_EXTENSIONS = re.compile(
    r"(_test.*|_ctypes_test|_xx.*|xx.*|_tkinter|_curses.*|_dbm|_gdbm|nis|readline|ossaudiodev)\."
)
_TCL = re.compile(r"lib(tcl|tk|tclstub|tkstub)\d.*|(tcl|tk|itcl|thread|tdbc|sqlite)\d.*")
_HEADERS_AND_SOURCES = {".a", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".lib", ".pxd", ".pyx"}
_FOR_TOOLS = frozenset({
    "annotated_types/test_cases.py", "anyio/pytest_plugin.py", "dotenv/__main__.py",
    "dotenv/cli.py", "dotenv/ipython.py", "httpx/_main.py", "pydantic/mypy.py",
    "pydantic/v1/mypy.py",
})  # fmt: skip
"""Command lines and plugins of what the kit brings: they import what no function has."""

_ABOUT_INSTALLING = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


def mentions(content: bytes) -> set[str]:
    """Return which of the `OPTIONAL` modules *content* has the name of, in code or elsewhere."""
    return {match.decode() for match in _MENTION.findall(content)}


def keep_of_interpreter(path: str, mentioned: Collection[str] = OPTIONAL) -> bool:
    """Tell whether the file at *path* of an interpreter's folder is needed to run programs."""
    parts = PurePosixPath(path).parts
    if parts[0] == "bin":
        return bool(re.fullmatch(r"python3(\.\d+)?", parts[-1]))
    if parts[0] != "lib" or len(parts) < 2 or _goes_with_absent(parts, mentioned):
        return False
    if not re.fullmatch(r"python3\.\d+", parts[1]):
        return len(parts) == 2 and ".so" in parts[1] and not _TCL.fullmatch(parts[1])
    return _keep_of_stdlib(parts[2:], mentioned)


def _keep_of_stdlib(parts: tuple[str, ...], mentioned: Collection[str]) -> bool:
    if not parts or "__pycache__" in parts or parts[0].startswith("config-"):
        return False
    if parts[0] == "lib-dynload":
        return not _EXTENSIONS.match(parts[-1])
    name = PurePosixPath(parts[-1])
    module = parts[0].removesuffix(".py")
    if module in OPTIONAL and module not in mentioned:
        return False
    if len(parts) == 1:
        return name.stem not in _STDLIB_MODULES and name.name != "EXTERNALLY-MANAGED"
    if _TESTS & set(parts[:-1]):
        return False
    folders = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    return not folders & _STDLIB_PACKAGES and name.suffix not in (".exe", ".bat")


def _goes_with_absent(parts: tuple[str, ...], mentioned: Collection[str]) -> bool:
    ends = ("/".join(parts[-2:]), parts[-1])
    absent = (names for module, names in _ALONG.items() if module not in mentioned)
    return any(end.startswith(names) for names in absent for end in ends)


def unneeded_in_packages(paths: Iterable[str]) -> set[str]:
    """Return which of the files at *paths*, all of the folder of packages, can go."""
    paths = list(paths)
    tops = {path.split("/", 1)[0] for path in paths}
    # the few packages that load by their stubs say so by needing this one
    keeps_stubs = "lazy_loader" in tops
    tests = _test_folders(paths)
    return {
        path
        for path in paths
        if _is_unneeded(PurePosixPath(path))
        or (_is_stub(path) and not keeps_stubs)
        or _is_below(path, tests)
    }


def _is_unneeded(path: PurePosixPath) -> bool:
    top = path.parts[0]
    if top in ("bin", "include", "share", ".lock") or "__pycache__" in path.parts:
        return True
    if top.endswith(".dist-info"):
        return path.name in _ABOUT_INSTALLING or "sboms" in path.parts
    return path.suffix in _HEADERS_AND_SOURCES or str(path) in _FOR_TOOLS


def _is_stub(path: str) -> bool:
    return path.endswith((".pyi", "/py.typed"))


def _test_folders(paths: Iterable[str]) -> set[str]:
    """Return the folders that hold a package's own tests: named so, and with files named so."""
    found = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        parts = folder.split("/")
        if len(parts) > 1 and parts[-1] in _TESTS and name.startswith("test_"):
            found.add(folder + "/")
    return found


def _is_below(path: str, folders: set[str]) -> bool:
    return any(path.startswith(folder) for folder in folders)
