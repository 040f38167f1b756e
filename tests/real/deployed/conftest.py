"""The project, built and zipped once; its functions, started as Lambda does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import respx

from tests.real import boot
from tests.real.bundle.project import Project, share_python
from tests.real.deployed.project import BUILD_KEY, KEY, lay_out


@pytest.fixture(scope="session")
def jail(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return boot.Jail(tmp_path_factory.mktemp("jail"))


@pytest.fixture(scope="session")
def built(demo: Project, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """
    The project, built, zipped and unpacked: `project`, `tasks` by function, and a `jail`.

    It has the interpreter of another project, which it need not build again.
    """
    folder = tmp_path_factory.mktemp("deployed")
    project = lay_out(folder / "project")
    share_python(demo.root, project)
    keys = {"AWL_API_KEY": BUILD_KEY, "WORKFLOW_API_KEY": BUILD_KEY}
    report = boot.build(project, {**boot.cpython_downloads(folder), **keys})
    return SimpleNamespace(
        project=project,
        tasks=_tasks(project, folder),
        jail=boot.Jail(folder, is_open=report["isRunning"]),
        is_running=report["isRunning"],
    )


def _tasks(project: Path, folder: Path) -> dict[str, Path]:
    """Return the folders of the functions; one is zipped and unpacked, which is alike for all."""
    files = sorted((project / "functions").glob("*.mjs"))
    left = [file.stem for file in files if file.stem != "kit-api-publish"]
    made = boot.zip_functions(project, folder / "zips", files, left)
    zipped = made["kit-api-publish"]
    return {**made, "kit-api-publish": boot.unpack(zipped, folder / "tasks")}


MakeBooted = Callable[..., Any]


@pytest.fixture
def start(built: Any, network: respx.MockRouter) -> Iterator[MakeBooted]:
    """Start one of the project's functions; it is ended after the test."""
    begun = []

    def make(name: str, **options: Any) -> Any:
        env = {"AWL_API_KEY": KEY, **options.pop("env", {})}
        booted = boot.Booted(built.tasks[name], built.jail, env=env, **options)
        begun.append(booted.__enter__())
        return booted

    yield make
    for booted in begun:
        booted.__exit__(None, None, None)


@pytest.fixture
def engine(built: Any, start: MakeBooted, tmp_path: Path) -> Iterator[Any]:
    """The real engine before the workflows' function, which is frozen between invocations."""
    booted = start("kit-workflows", freeze=True)
    entry = built.project / "functions" / "kit-workflows.mjs"
    with boot.make_rig(tmp_path / "rig", {entry: booted.url}) as rig:
        yield SimpleNamespace(rig=rig, booted=booted)


@pytest.fixture
def recorded(built: Any, start: MakeBooted, tmp_path: Path) -> Any:
    """The same before the function of workflows with records, and the runs API beside it."""
    # the least that Netlify lets a function have: no sleep is waited for in place
    booted = start("kit-workflows-blobs", freeze=True, env={"AWL_SERVERLESS_TIMEOUT": "11"})
    functions = built.project / "functions"
    rig = boot.make_rig(tmp_path / "rig", {functions / "kit-workflows-blobs.mjs": booted.url})
    runs = json.dumps((functions / "kit-runs.mjs").as_uri())
    (tmp_path / "rig" / "kit-runs.mjs").write_text(f"export {{ default }} from {runs};")
    with rig:
        yield SimpleNamespace(rig=rig, booted=booted)
