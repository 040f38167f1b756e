"""From a project to folders that functions can be started from: built, zipped, unpacked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SHARED = Path(os.environ.get("KIT_SHARED") or ROOT.parent / "shared").absolute()
"""What may lie beside the repository, or elsewhere if `KIT_SHARED` says so. Nothing needs it."""

_LINK = 0o120000


def cpython_downloads(folder: Path) -> dict[str, str]:
    """
    Return variables that have `kit build` take the CPython beside this checkout, if there is one.

    There it need not be downloaded; without it uv finds one, as for every user.
    """
    archive = next(iter(sorted((SHARED / "cpython").glob("cpython-*.tar.gz"))), None)
    if archive is None:
        return {}
    version = archive.name.split("-")[1]
    major, minor, patch = map(int, version.split("."))
    listing = {
        f"cpython-{version}-linux-x86_64-gnu": {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": archive.as_uri(),
            "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
            "variant": None,
            "build": "20250612",
        }
    }
    file = folder / "downloads.json"
    file.write_text(json.dumps(listing))
    return {"KIT_PYTHON_DOWNLOADS_JSON": file.as_uri(), "WORKFLOW_PYTHON": f"{major}.{minor}"}


def init(project: Path) -> Path:
    """
    Make a project with `kit init`, and give it the JavaScript packages that are deployed.

    Its runs travel with their events, as without the setting: so what is stored can be looked at.
    """
    _kit("init", str(project), cwd=project.parent)
    settings = project / "kit.yaml"
    settings.write_text(settings.read_text().replace("store: blobs", "store: awl"))
    give_packages(project)
    return project


def give_packages(project: Path) -> None:
    """Copy what of this checkout's JavaScript packages is not for development only."""
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for path, facts in locked.items():
        # not those of a package's own, which come with it
        if path.count("node_modules/") == 1 and not facts.get("dev"):
            shutil.copytree(ROOT / path, project / path, symlinks=True)


def build(project: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """
    Run `kit build` in *project* with *env* besides this process's own; return its report.

    Where no CPython can be had, it bundles the running one, and the report says `isRunning`.
    """
    is_running = False
    try:
        said = _kit("build", "--json", cwd=project, env=env)
    except RuntimeError as error:
        if "cannot be obtained" not in str(error):
            raise
        said, is_running = (
            _kit("build", "--json", "--python", "running", cwd=project, env=env),
            True,
        )
    return {**json.loads(said), "isRunning": is_running}


def _kit(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("kit")), *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"kit {arguments[0]} failed: {done.stdout}{done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


def zip_functions(
    project: Path, target: Path, files: list[Path], left: Collection[str] = ()
) -> dict[str, Path]:
    """
    Zip functions of *project* with Netlify's bundler; return the zips by name.

    Those named in *left* are left in folders, which takes a fraction of the time.
    """
    node = shutil.which("node")
    assert node is not None, "Node 20 or later is needed to zip functions; there is no `node`"
    target.mkdir(parents=True, exist_ok=True)
    given = [str(project), str(target), json.dumps([*left]), *map(str, files)]
    done = subprocess.run(
        [node, str(HERE / "zip.mjs"), *given],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"the functions cannot be zipped: {done.stderr}"
        raise RuntimeError(msg)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["name"]: Path(each["path"]) for each in found}


def unpack(file: Path, target: Path) -> Path:
    """Unpack a zip as Lambda does: modes and links as they are in it, nothing writable."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            path = target / info.filename
            mode = info.external_attr >> 16
            path.parent.mkdir(parents=True, exist_ok=True)
            if info.is_dir():
                path.mkdir(exist_ok=True)
            elif mode & 0o170000 == _LINK:
                path.symlink_to(archive.read(info).decode())
            else:
                path.write_bytes(archive.read(info))
                path.chmod(mode & 0o777 & ~0o222)
    return target
