"""Which packages a project needs: by its `pyproject.toml`, else its `requirements.txt`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kit.model.errors import BuildError

KIT = "netlify-workflow-kit"

NEEDED = ("pydantic-settings>=2.6", "httpx>=0.27", "sniffio>=1.3")
"""What the kit itself needs in a function. Not PyYAML: the settings travel in another form."""

FOR_HTTP = ("starlette>=0.40",)
"""What HTTP modules need besides."""

_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Requirements:
    """
    What to install: the kit's own needs, the project's, and a file with more, if any.

    `content` is what that file and those it includes say, to tell whether it has changed.
    `origin` tells where the project's needs stand.
    """

    needed: tuple[str, ...]
    wanted: tuple[str, ...] = ()
    file: Path | None = None
    content: tuple[str, ...] = ()
    origin: str = "the kit's own needs"


def find_requirements(root: Path, *, has_http: bool) -> Requirements:
    """
    Return what the project at *root* needs.

    Raises:
        BuildError: If `pyproject.toml` cannot be read, or does not say.
    """
    needed = NEEDED + (FOR_HTTP if has_http else ())
    project, file = _project(root / "pyproject.toml"), root / "requirements.txt"
    if is_kit(root):
        return Requirements(needed)  # its needs are known
    if "dependencies" in project:
        # as a list: uv would want more of the file than it needs, such as a version
        wanted = _checked(project["dependencies"], root / "pyproject.toml")
        return Requirements(needed, wanted, origin="pyproject.toml")
    if file.is_file():
        content = tuple(_contents(file, set()))
        return Requirements(needed, file=file, content=content, origin="requirements.txt")
    if "dependencies" in project.get("dynamic", ()):
        msg = (
            f"{root / 'pyproject.toml'} leaves the dependencies to a build, which does not happen"
            " here. List them there, or in requirements.txt"
        )
        raise BuildError(msg, code="BUILD_NO_PACKAGES")
    return Requirements(needed)


def is_kit(root: Path) -> bool:
    """Tell whether the project at *root* is the kit itself."""
    return canonicalize_name(str(_project(root / "pyproject.toml").get("name", ""))) == KIT


def _checked(dependencies: object, file: Path) -> tuple[str, ...]:
    """Return *dependencies* if each is one, as PEP 508 has it; uv would not say where it stands."""
    if not isinstance(dependencies, list) or not all(isinstance(x, str) for x in dependencies):
        msg = f'{file}: dependencies must be a list of texts, as in dependencies = ["httpx"]'
        raise BuildError(msg, code="BUILD_NO_PACKAGES")
    for each in dependencies:
        try:
            Requirement(each)
        except InvalidRequirement as error:
            msg = f"{file}: the dependency {each!r} is none: {error}"
            raise BuildError(msg, code="BUILD_NO_PACKAGES") from error
    return tuple(dependencies)


def _project(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is no valid TOML: {error}"
        raise BuildError(msg) from error
    return found if isinstance(found, dict) else {}


def _contents(file: Path, seen: set[Path]) -> list[str]:
    """Return the text of a requirements file and of those it includes."""
    if file in seen or not file.is_file():
        return []
    seen.add(file)
    text = file.read_text(encoding="utf-8", errors="replace")
    texts = [text]
    for name in _INCLUDE.findall(text):
        texts += _contents(file.parent / name, seen)
    return texts
