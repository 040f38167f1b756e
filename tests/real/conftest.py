"""The real engine for tests, one rig for all of them, emptied for each; and one real build."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import respx
from xdist.scheduler import LoadFileScheduling

from kit.client.async_workflow_client import AsyncWorkflowClient
from kit.client.default import Default, use
from kit.client.netlify import NetlifyProvider
from kit.deploy.bundle.interpreter import obtain, wanted_version
from kit.model.errors import BuildError
from kit.project.catalog import Catalog
from kit.project.config import load
from tests.real.boot.bundle import cpython_downloads
from tests.real.bundle.project import Builder, Project, built
from tests.real.rig import rig as rig_module
from tests.real.rig.rig import Rig

_HERE = Path(__file__).parent
LIMIT = 480
"""Seconds a test of this folder may take: it may be the one that builds or starts for all."""


LONGEST = (
    "bundle/test_elsewhere.py",
    "browser",
    "bridge",
    "deployed",
    "bundle/test_build.py",
    "records/test_kills.py",
    "records/test_odd.py",
    "kill/test_kills.py",
    "records/test_execution.py",
    "records/test_slow.py",
    "test_wheel.py",
    "bundle/test_zip.py",
    "test_soak.py",
    "test_docs.py",
)
"""
Files that take longest. They come first, so that no worker is left with one at the end.

Those of a folder come together, in one process: they share a browser, or sites on the engine.
"""


def pytest_configure() -> None:
    """Spare every Node the certificates it would read at its start: it only talks to loopback."""
    os.environ.pop("NODE_EXTRA_CA_CERTS", None)


@pytest.hookimpl(trylast=True)  # after all has been shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, and give all here more time, where they do not ask for some."""
    places = {_HERE / name: place for place, name in enumerate(LONGEST)}
    last = len(places)
    items.sort(key=lambda item: places.get(item.path, places.get(item.path.parent, last)))
    for item in items:
        if _HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT))


class Together(LoadFileScheduling):
    """Leaves the tests of a file to one process, and those of the folders that are in LONGEST."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = PurePosixPath(file).parent
        return str(folder) if folder.name in LONGEST else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def running_rig() -> Iterator[Rig]:
    with Rig() as rig:
        yield rig


@pytest.fixture
def rig(running_rig: Rig, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The engine, empty and on time; requests to it pass the guard that mocks all others."""
    running_rig.reset()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # the machine's proxy would not find it
    network.route(host="127.0.0.1").pass_through()
    return running_rig


@pytest.fixture(scope="session")
def make_rig() -> type[Rig]:
    """Start a rig of one's own, with other functions or other processes."""
    return Rig


@pytest.fixture(scope="session")
def link_packages() -> Callable[[Path], None]:
    """Let functions in a folder import the installed packages."""
    return rig_module.link_packages


@pytest.fixture
def make_provider(rig: Rig, tmp_path: Path) -> Callable[..., NetlifyProvider]:
    """Make a provider with the settings an empty project has when only two variables are set."""

    def make(key: str = rig.key) -> NetlifyProvider:
        environ = {"WORKFLOW_BASE_URL": rig.url, "WORKFLOW_API_KEY": key}
        return NetlifyProvider(load(tmp_path, environ=environ))

    return make


@pytest.fixture
async def site(rig: Rig, make_provider: Callable[..., NetlifyProvider]) -> AsyncIterator[Rig]:
    """The rig, as the place where `kit`'s own functions send to."""
    provider = make_provider()
    use(Default(provider, Catalog()))
    yield rig
    use(None)
    await provider.close()


@pytest.fixture
async def manager(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncWorkflowClient]:
    """A client of the rig's site, outside of any project."""
    monkeypatch.chdir(tmp_path)
    async with AsyncWorkflowClient(rig.url, rig.key) as client_of_site:
        yield client_of_site


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """With the interpreter beside the repository, else one from the net, else the running one."""
    kept = ("PATH", "HOME", "PIP_", "UV_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy", "LANG")
    environ = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    folder = tmp_path_factory.mktemp("interpreter")
    if archive := cpython_downloads(folder):
        return Builder({**environ, **archive})
    try:
        obtain(wanted_version(None), folder, environ)
    except BuildError:
        return Builder(environ, use_running=True)
    return Builder(environ)


@pytest.fixture(scope="session")
def demo(builder: Builder, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """What `kit init` writes, with an HTTP function, built. Not to be changed."""
    if worker_id == "master":
        return built(tmp_path_factory.mktemp("demo"), builder)
    folder = tmp_path_factory.getbasetemp().parent / "demo"  # one for all workers of this run
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return built(folder, builder)
