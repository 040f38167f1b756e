from collections.abc import Callable
from pathlib import Path

import pytest

from kit.deploy.bundle.checks import binary_problems, size_problems, unfit_binaries
from kit.deploy.bundle.target import MAX_UNZIPPED, MAX_ZIPPED
from kit.deploy.bundle.tree import Size

Make = Callable[..., bytes]


def test_what_netlifys_machines_can_load_is_fit(tmp_path: Path, make_binary: Make) -> None:
    (tmp_path / "a.so").write_bytes(make_binary(("GLIBC_2.34",), ("libc.so.6",)))
    (tmp_path / "b.py").write_bytes(b"\x7fELF")
    (tmp_path / "c.txt").write_text("text")

    assert unfit_binaries(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "versions", "machine", "why"),
    [
        ("a.so", ("GLIBC_2.35",), 62, "needs glibc 2.35"),
        ("program", ("GLIBC_2.38",), 62, "needs glibc 2.38"),
        ("a.so", (), 183, "is not for x86-64"),
        ("a.dylib", None, 0, "is for macOS or Windows"),
        ("a.pyd", None, 0, "is for macOS or Windows"),
    ],
)
def test_what_they_cannot_load_is_named(
    tmp_path: Path,
    make_binary: Make,
    name: str,
    versions: tuple[str, ...] | None,
    machine: int,
    why: str,
) -> None:
    content = b"MZ" if versions is None else make_binary(versions, ("libc.so.6",), machine)
    (tmp_path / name).write_bytes(content)

    assert unfit_binaries(tmp_path) == [{"path": name, "why": why}]


@pytest.mark.parametrize(
    ("stage", "advice"),
    [("python", "--python running"), ("site", "manylinux_2_34"), ("app", "manylinux_2_28")],
)
def test_a_problem_says_what_to_do(stage: str, advice: str) -> None:
    unfit = [{"path": f"{index}.so", "why": "needs glibc 2.35"} for index in range(10)]

    (text,) = binary_problems({stage: unfit, "site" if stage == "app" else "app": []})

    assert "Linux x86-64 with glibc 2.34" in text
    assert f"{stage}/0.so needs glibc 2.35" in text
    assert "and 2 more" in text
    assert advice in text


def test_sizes_within_the_limits_are_fine() -> None:
    assert list(size_problems({"a": Size(MAX_UNZIPPED, MAX_ZIPPED)})) == []


def test_a_size_beyond_a_limit_names_the_largest_parts() -> None:
    parts = {f"small {n}": Size(n, n) for n in range(9)}
    parts |= {"torch 2": Size(MAX_UNZIPPED, 1), "numpy 2": Size(100, MAX_ZIPPED)}

    unzipped, zipped = size_problems(parts)

    assert "250.0 MiB unzipped, and may have 250.0 MiB" in unzipped
    assert "The largest parts: torch 2 (250.0 MiB), numpy 2 (0.0 MiB), small 8" in unzipped
    assert "50.0 MiB zipped" in zipped
    assert "The largest parts: numpy 2 (50.0 MiB)" in zipped
