"""The publish folder: files as Netlify's edge serves them, from this machine."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.responses import FileResponse, PlainTextResponse, Response

from kit.model.errors import ConfigError

_NO_CACHE = {"cache-control": "public, max-age=0, must-revalidate"}


def publish_folder(root: Path) -> Path | None:
    """
    Return the folder that `netlify.toml` publishes, or None if it says nothing of one.

    Raises:
        ConfigError: If the file is no valid TOML, or the folder is outside the project.
    """
    toml = root / "netlify.toml"
    try:
        build: Any = tomllib.loads(toml.read_text(encoding="utf-8")).get("build")
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        msg = f"{toml} cannot be read: {error}"
        raise ConfigError(msg) from None
    given = build.get("publish") if isinstance(build, dict) else None
    if not isinstance(given, str) or not given.strip("/"):
        return None
    folder = Path(os.path.normpath(root / given.strip("/")))
    if not folder.is_relative_to(root):
        msg = f"{toml}: [build] publish = {given!r} is outside the project; name a folder in it"
        raise ConfigError(msg)
    return folder


def find_file(folder: Path, path: str) -> Path | None:
    """
    Return the file of *folder* that answers the URL path *path*, or None.

    `/about` is `about`, `about.html` or `about/index.html`. Nothing that begins with a dot is
    served, except below `.well-known`; nor is a link that leads out of the folder.
    """
    parts = PurePosixPath(path.strip("/")).parts
    if any(part.startswith(".") and part != ".well-known" for part in parts):
        return None
    real = Path(os.path.realpath(folder))
    plain = real.joinpath(*parts)
    candidates = [plain / "index.html"]
    if not path.endswith("/"):
        candidates = [plain, plain.with_name(f"{plain.name}.html"), *candidates]
    for candidate in candidates:
        try:
            found = Path(os.path.realpath(candidate))
            if found.is_relative_to(real) and found.is_file():
                return found
        except (OSError, ValueError):  # a name no file can have
            return None
    return None


def answer(folder: Path | None, path: str, method: str) -> Response:
    """Return the response to a request for a file."""
    if method not in ("GET", "HEAD"):
        return PlainTextResponse("Method Not Allowed\n", 405, {"allow": "GET, HEAD"})
    if folder is not None:
        found = find_file(folder, path)
        if found is not None:
            return FileResponse(found, headers=_NO_CACHE)
        page = find_file(folder, "/404.html")
        if page is not None:
            return FileResponse(page, 404, headers=_NO_CACHE)
    return PlainTextResponse(_nothing(folder, path), 404)


def _nothing(folder: Path | None, path: str) -> str:
    if path != "/":
        return "Not Found\n"
    where = "netlify.toml names no publish folder" if folder is None else f"{folder} has no index"
    return f"Nothing is published here: {where}. What your workflows do is at /_kit/\n"
