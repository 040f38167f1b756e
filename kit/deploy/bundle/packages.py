"""
The bundle's packages: the project's requirements and the kit's, as Linux wheels, and the kit.

The kit itself is copied from where it runs: those of its modules that a function can import.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kit
from kit.deploy.bundle import uv
from kit.deploy.bundle.imports import reached
from kit.deploy.bundle.prune import unneeded_in_packages
from kit.deploy.bundle.requirements import FOR_HTTP, KIT, NEEDED, Requirements
from kit.deploy.bundle.target import MARKERS, PLATFORMS
from kit.deploy.bundle.tree import copy_file, digest_of, discard, files_in
from kit.model.errors import BuildError

KIT_SOURCE = Path(kit.__file__).parent


def install(
    requirements: Requirements, minor: str, target: Path, *, root: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """
    Install *requirements* for Python *minor* on Linux into *target*, and the kit.

    Returns whose each top folder or file is: `{"yaml": "PyYAML 6.0.3", …}`.

    Raises:
        BuildError: If there is no wheel for a package, or none that fits the others.
    """
    _install_wheels(requirements, minor, target, root, environ)
    owners = {"kit": f"{KIT} {kit.__version__}", **_owners(target)}
    for path in sorted(unneeded_in_packages(files_in(target))):
        (target / path).unlink()
    for path in kit_files():
        copy_file(KIT_SOURCE / path, target / "kit" / path)
    return owners


@cache
def kit_files() -> tuple[str, ...]:
    """Return the files of the kit that functions can import."""
    programs = (KIT_SOURCE / "deploy" / "bundle" / "programs").glob("*.py")
    return tuple(reached(KIT_SOURCE, programs=programs))


def kit_digest() -> str:
    """Return a digest of the kit's own files."""
    return digest_of((path, (KIT_SOURCE / path).read_bytes()) for path in kit_files())


def brought_by_kit(target: Path) -> set[str]:
    """Return the titles of the packages in *target* that the kit itself needs, however far."""
    known = {canonicalize_name(each.name): each for each in _distributions(target)}
    pending, found = [*NEEDED, *FOR_HTTP], set()
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        if name in known and name not in found and _applies(requirement):
            found.add(name)
            pending += known[name].requires or ()
    return {_title(known[name]) for name in found}


def read_themselves(target: Path) -> set[str]:
    """
    Return the `__init__.py` files of packages in *target* that look into their own source.

    anyio does, to find what it need not import yet; without its source it imports everything, which
    makes 100 of the 560 million instructions that an HTTP function's Python starts with.
    """
    found: set[str] = set()
    for top in sorted(each for each in target.iterdir() if each.is_dir()):
        files = [each for each in top.rglob("*.py") if each.is_file()]
        if any("inspect.getsource(" in each.read_text(errors="replace") for each in files):
            names = (each for each in files if each.name == "__init__.py")
            found.update(each.relative_to(target).as_posix() for each in names)
    return found


def _install_wheels(
    requirements: Requirements, minor: str, target: Path, root: Path, environ: Mapping[str, str]
) -> None:
    inputs = target.parent / "requirements"
    inputs.mkdir(parents=True, exist_ok=True)
    listed = [*requirements.needed, *requirements.wanted]
    (inputs / "all.txt").write_text("".join(f"{each}\n" for each in listed))
    (inputs / "not.txt").write_text(f"{KIT}\n")
    arguments = ["pip", "install", "--target", str(target), "--python-version", minor]
    arguments += ["--only-binary", ":all:", "--link-mode", "copy", "-r", str(inputs / "all.txt")]
    arguments += ["--excludes", str(inputs / "not.txt"), *uv.indexes(environ)]
    if requirements.file is not None:
        arguments += ["-r", str(requirements.file)]
    said = ""
    for platform in PLATFORMS:
        discard(target)
        target.mkdir(parents=True)
        try:
            uv.run([*arguments, "--python-platform", platform], cwd=root, environ=environ)
        except uv.UvError as error:
            said = str(error)
        else:
            return
    raise _no_wheel(requirements, minor, said)


def _no_wheel(requirements: Requirements, minor: str, said: str) -> BuildError:
    without = "no wheels" in said or "no usable wheels" in said or "hint: Wheels" in said
    advice = (
        "Functions run on Linux x86-64 with Python"
        f" {minor} and can build nothing: choose a version that has a wheel for it, another"
        " package, or another Python (workflow.python in kit.yaml)"
        if without
        else f"Correct {requirements.origin}, or check the connection"
    )
    what = "there is no Linux wheel for a package" if without else "packages cannot be installed"
    code = "BUILD_NO_WHEEL" if without else "BUILD_NO_PACKAGES"
    return BuildError(f"{what} ({requirements.origin}):\n{said}\n{advice}", code=code)


def _owners(target: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in _distributions(target):
        title = _title(distribution)
        for file in distribution.files or ():
            top = file.parts[0]
            found.setdefault(top, title)
            if top.endswith(".py"):
                found.setdefault(f"{top}c", title)  # what may be left of it
    return found


def _distributions(target: Path) -> list[Distribution]:
    """Return what is installed in *target*, in order: whose a shared folder is depends on it."""
    found = distributions(path=[str(target)])
    return sorted(found, key=lambda each: canonicalize_name(each.name))


def _title(distribution: Distribution) -> str:
    return f"{distribution.name} {distribution.version}"


def _applies(requirement: Requirement) -> bool:
    """Tell whether a package needs this one where functions run, without any extras."""
    return requirement.marker is None or requirement.marker.evaluate(MARKERS)
