"""What would not work once deployed, judged from the finished bundle's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kit.deploy.bundle.elf import X86_64, read_binary
from kit.deploy.bundle.target import GLIBC, MAX_UNZIPPED, MAX_ZIPPED
from kit.deploy.bundle.tree import Size, files_in

_SHOWN = 8


def unfit_binaries(tree: Path) -> list[dict[str, Any]]:
    """Return the binaries below *tree* that Netlify's machines cannot load, and why, as JSON."""
    found = []
    for path in files_in(tree):
        if path.endswith((".py", ".pyc")):
            continue
        binary = read_binary(tree / path)
        if binary is None:
            why = "is for macOS or Windows" if path.endswith((".dylib", ".dll", ".pyd")) else ""
        elif binary.machine != X86_64:
            why = "is not for x86-64"
        else:
            why = "" if binary.glibc <= GLIBC else f"needs glibc {_version(binary.glibc)}"
        if why:
            found.append({"path": path, "why": why})
    return found


def binary_problems(unfit: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[str]:
    """Yield what is wrong with the binaries of each stage, and what to do."""
    for stage, binaries in unfit.items():
        lines = [f"  {stage}/{each['path']} {each['why']}" for each in binaries]
        if not lines:
            continue
        shown = "\n".join(lines[:_SHOWN])
        more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        yield (
            f"Netlify's functions run on Linux x86-64 with glibc {_version(GLIBC)} and cannot load"
            f" what needs another or a newer one:\n{shown}{more}\n{_ADVICE[stage]}"
        )


def size_problems(parts: Mapping[str, Size]) -> Iterator[str]:
    """Yield what is wrong with the bundle's size, and where most of it comes from."""
    total = sum(parts.values(), Size())
    unzipped = {name: size.unzipped for name, size in parts.items()}
    zipped = {name: size.zipped for name, size in parts.items()}
    if total.unzipped > MAX_UNZIPPED:
        yield _too_large("unzipped", total.unzipped, MAX_UNZIPPED, unzipped)
    if total.zipped > MAX_ZIPPED:
        yield _too_large("zipped", total.zipped, MAX_ZIPPED, zipped)


def _too_large(what: str, size: int, limit: int, parts: Mapping[str, int]) -> str:
    largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
    listed = ", ".join(f"{name} ({mebibytes(part)})" for name, part in largest)
    return (
        f"a function would have {mebibytes(size)} {what}, and may have {mebibytes(limit)}. The"
        f" largest parts: {listed}. Drop a dependency, or take a smaller one that does the same"
    )


def mebibytes(size: int) -> str:
    """Return a size in the unit that AWS's limits of 250 and 50 "MB" are given in."""
    return f"{size / 1024**2:.1f} MiB"


def _version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


_ADVICE = {
    "python": (
        "This interpreter is made for another machine: build without --python running, or set"
        " workflow.python to a version that uv can download"
    ),
    "site": "Pin the package to a version with a wheel tagged manylinux_2_34 or lower",
    "app": "Take the file out of the project, or build it in a manylinux_2_28 container",
}
