import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.deploy.bundle.elf import Binary, parse, read_binary

Make = Callable[..., bytes]


def test_it_says_which_libraries_and_versions_a_binary_needs(make_binary: Make) -> None:
    content = make_binary(("GLIBC_2.17", "GLIBC_2.35"), ("libc.so.6", "libm.so.6"))

    found = parse(content)

    assert found == Binary(62, ("libc.so.6", "libm.so.6"), ("GLIBC_2.17", "GLIBC_2.35"))


@pytest.mark.parametrize(
    ("versions", "glibc"),
    [
        ((), (0, 0)),
        (("GLIBC_2.2.5",), (2, 2)),
        (("GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.4"), (2, 34)),
        (("GLIBC_PRIVATE", "GCC_3.0", "CXXABI_1.3.15"), (0, 0)),
    ],
)
def test_the_newest_glibc_counts(
    make_binary: Make, versions: tuple[str, ...], glibc: tuple[int, int]
) -> None:
    assert parse(make_binary(versions, ("libc.so.6",))).glibc == glibc


def test_another_file_is_no_binary(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "empty").write_text("")

    assert read_binary(tmp_path / "text") is None
    assert read_binary(tmp_path / "empty") is None


def test_of_a_damaged_one_the_machine_is_known(make_binary: Make) -> None:
    whole = make_binary(("GLIBC_2.35",), ("libc.so.6",), machine=183)

    assert parse(whole[:-60]).machine == 183
    assert parse(whole[:80]).machine == 183
    assert parse(b"\x7fELF").machine == 0
    assert parse(whole[:4] + b"\x01" + whole[5:]).machine == 0


def test_one_without_dynamic_part_needs_nothing(make_binary: Make) -> None:
    assert parse(make_binary()[:64] + bytes(200)) == Binary(62)


@pytest.mark.skipif(sys.platform != "linux", reason="reads binaries of this system")
@pytest.mark.skipif(shutil.which("objdump") is None, reason="compares with objdump")
def test_it_agrees_with_objdump() -> None:
    program = Path(sys.executable).resolve()
    said = subprocess.run(["objdump", "-p", program], capture_output=True, text=True).stdout
    found = read_binary(program)

    assert found is not None
    needed = [line.split()[1] for line in said.splitlines() if line.strip().startswith("NEEDED")]
    required = said.partition("Version References:")[2].splitlines()
    versions = [line.split()[3] for line in required if line.strip().startswith("0x")]
    assert list(found.libraries) == needed
    assert sorted(found.versions) == sorted(versions)
