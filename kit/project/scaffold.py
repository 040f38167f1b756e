"""A new project: what `kit init` writes."""

from __future__ import annotations

import os
import re
import unicodedata
from importlib.resources import files
from pathlib import Path
from string import Template

from kit.model.errors import ConfigError

_TEMPLATES = {
    ".gitignore": "gitignore.txt",
    "README.md": "README.md.txt",
    "functions/workflows/publish_draft.py": "publish_draft.py.txt",
    "kit.yaml": "kit.yaml.txt",
    "netlify.toml": "netlify.toml.txt",
    "package.json": "package.json.txt",
    "public/index.html": "index.html.txt",
    "pyproject.toml": "pyproject.toml.txt",
    "tests/test_publish_draft.py": "test_publish_draft.py.txt",
}
"""Each file of a new project, with its template; `$project` in it becomes the project's name."""

_SCHEMA = "schemas/kit.schema.json"
_FALLBACK = "my-workflows"


def init(directory: Path, *, name: str | None = None) -> list[Path]:
    """
    Write a project that runs into *directory* and return its files, sorted.

    One workflow, its test, the settings, what Netlify needs. The project is called *name*, or after
    its directory. Nothing is overwritten: it is all files or none.

    Raises:
        ConfigError: If a file is there already, or cannot be written.
    """
    root = Path(os.path.realpath(directory))
    project = project_name(name or root.name)
    texts = {path: _filled(template, project) for path, template in _TEMPLATES.items()}
    texts[_SCHEMA] = _schema()
    _check_free(root, texts)
    written: list[Path] = []
    try:
        for path, text in sorted(texts.items()):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(file)
                stream.write(text)
    except OSError as error:
        for begun in written:
            begun.unlink(missing_ok=True)
        msg = f"{file} cannot be written: {error.strerror}. Nothing was kept; choose another folder"
        raise ConfigError(msg) from error
    return written


def project_name(text: str) -> str:
    """Return *text* as a name that Python and npm both take: `Ünser Projekt!` → `unser-projekt`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].rstrip("-") or _FALLBACK


def _filled(template: str, project: str) -> str:
    text = files("kit").joinpath("templates", "init", template).read_text(encoding="utf-8")
    return Template(text).substitute(project=project)


def _schema() -> str:
    from kit.project.schemas import config_schema, text_of

    return text_of(config_schema())


def _check_free(root: Path, paths: dict[str, str]) -> None:
    """Refuse where a file is in the way, or a link that would lead the files elsewhere."""
    if os.path.lexists(root) and not root.is_dir():
        msg = f"{root} is a file; name a folder, which need not exist yet"
        raise ConfigError(msg)
    folders = {str(parent) for path in paths for parent in Path(path).parents} - {"."}
    taken = [path for path in paths if os.path.lexists(root / path)]
    taken += [
        folder
        for folder in folders
        if os.path.lexists(root / folder)
        and ((root / folder).is_symlink() or not (root / folder).is_dir())
    ]
    if taken:
        msg = (
            f"{root} already has {', '.join(sorted(taken))}; nothing was written."
            " Choose an empty folder, or move these away"
        )
        raise ConfigError(msg, details={"conflicts": sorted(taken)})
