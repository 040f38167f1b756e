"""
What has to be true around the bundle: Node, the library, the key, `netlify.toml`.

`look` finds out, `judge` decides. What only matters on Netlify is an error where Netlify builds and
a warning elsewhere, or a note if it is no part of the project.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kit.deploy.bundle.findings import Finding, Level
from kit.model.errors import BuildError
from kit.project.hosting import detect

LIBRARY = "@netlify/async-workloads"
DEFAULT_FOLDER = "functions"

_PROBE = """
const [entry] = require("fs").readdirSync(process.argv[1], { withFileTypes: true });
console.log(JSON.stringify([process.version, entry === undefined || entry.path !== undefined]));
"""


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """
    What was found around a project.

    `node` is the version, None without one; `sees_paths` whether the extension would find files
    with it. `declared` is the functions folder as `netlify.toml` has it.
    """

    is_netlify: bool
    has_key: bool
    has_library: bool
    node: str | None = None
    sees_paths: bool = True
    has_toml: bool = True
    declared: str | None = None

    @property
    def folder(self) -> str:
        """The folder functions are deployed from, relative to the root."""
        return self.declared or DEFAULT_FOLDER


def look(root: Path, environ: Mapping[str, str]) -> Prerequisites:
    """
    Find out what is around the project at *root*.

    Raises:
        BuildError: If `netlify.toml` is unreadable, or names a folder outside the project.
    """
    hosting = detect(environ)
    node, sees_paths = _node(root, environ)
    toml = root / "netlify.toml"
    return Prerequisites(
        is_netlify=hosting.is_netlify,
        has_key=hosting.api_key is not None,
        has_library=any(
            (folder / "node_modules" / LIBRARY / "package.json").is_file()
            for folder in (root, *root.parents)
        ),
        node=node,
        sees_paths=sees_paths,
        has_toml=toml.is_file(),
        declared=_declared(toml) if toml.is_file() else None,
    )


def judge(found: Prerequisites, *, has_workflows: bool) -> Iterator[Finding]:
    """Yield what of *found* would keep the functions from working."""
    depends: Level = "error" if found.is_netlify else "warning"
    if has_workflows:
        yield from _judge_library(found, depends)
    if found.node is None:
        yield Finding(
            "warning",
            "BUILD_NO_NODE",
            "there is no node on the PATH; Netlify's tools need one. Install Node 22",
        )
    if not found.has_toml or found.declared is None:
        where = "netlify.toml says nothing of" if found.has_toml else "there is no netlify.toml for"
        yield Finding(
            depends,
            "BUILD_NO_FOLDER",
            f"{where} the functions' folder, and Netlify would look elsewhere. Write into it:"
            f' [functions] directory = "{DEFAULT_FOLDER}"',
        )


def _judge_library(found: Prerequisites, depends: Level) -> Iterator[Finding]:
    if not found.has_library:
        yield Finding(
            "error",
            "BUILD_NO_LIBRARY",
            f"{LIBRARY} is not installed, which every workflow's function imports. Put it into"
            " package.json (`kit init` shows how, with the overrides that keep it small) and run"
            " npm install",
        )
    if not found.has_key:
        yield Finding(
            "error" if found.is_netlify else "note",
            "BUILD_NO_KEY",
            f"AWL_API_KEY is not set {_where(found)}, or the Async Workloads extension injects"
            " nothing and events get a 404. Set it for the scopes Builds and Functions, in the"
            " site's environment variables",
        )
    if not found.sees_paths:
        yield Finding(
            depends,
            "BUILD_NODE_VERSION",
            f"with Node {found.node} the Async Workloads extension finds no workload (files have"
            " no Dirent.path there). Use Node 22: NODE_VERSION in netlify.toml, and for the"
            " Netlify CLI",
        )


def _where(found: Prerequisites) -> str:
    if found.is_netlify:
        return "in the build's environment; it must be"
    return "here, and need not be; where Netlify builds it must be"


def _node(root: Path, environ: Mapping[str, str]) -> tuple[str | None, bool]:
    node = shutil.which("node", path=environ.get("PATH"))
    if node is None:
        return None, True
    done = subprocess.run(  # noqa: S603 - a constant program
        [node, "-e", _PROBE, str(root)],
        env={name: value for name, value in environ.items() if name != "NODE_OPTIONS"},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        version, sees_paths = json.loads(done.stdout)
    except ValueError:
        return None, True
    return str(version).removeprefix("v"), bool(sees_paths)


def _declared(toml: Path) -> str | None:
    try:
        found = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{toml} is no valid TOML: {error}"
        raise BuildError(msg) from error
    folder = _text(found.get("functions"), "directory") or _text(found.get("build"), "functions")
    if folder is None:
        return None
    path = PurePosixPath(folder.strip("/"))
    if ".." in path.parts or not path.parts:
        msg = f"{toml}: functions in {folder!r} are outside the project; name a folder inside it"
        raise BuildError(msg)
    return str(path)


def _text(table: object, key: str) -> str | None:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) else None
