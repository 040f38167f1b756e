"""Sites of the project's workflows, one for each way to treat processes, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real.bridge.site import MakeSite, Site, write_entries
from tests.real.rig.rig import Rig


@pytest.fixture(scope="session")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_entries(folder)
    return folder


@pytest.fixture(scope="session")
def start(entries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSite]:
    """Start a site, which lasts until all tests are over."""
    with ExitStack() as stack:

        def start(process: str, after: str, **env: str) -> Site:
            tally = tmp_path_factory.mktemp("tally") / "tally"
            variables = {"TALLY": str(tally), "PYTHONDONTWRITEBYTECODE": "1", **env}
            rig = Rig(entries / "functions", process=process, after=after, env=variables)
            return Site(stack.enter_context(rig), tally)

        yield start


@pytest.fixture(scope="session")
def bridge_in_process_run(start: MakeSite) -> Site:
    return start("in-process", "run")


@pytest.fixture(scope="session")
def bridge_one_run(start: MakeSite) -> Site:
    return start("one", "run")


@pytest.fixture(scope="session")
def bridge_one_freeze(start: MakeSite) -> Site:
    return start("one", "freeze")


@pytest.fixture(scope="session")
def bridge_one_end(start: MakeSite) -> Site:
    return start("one", "end")


@pytest.fixture(scope="session")
def bridge_one_kill(start: MakeSite) -> Site:
    return start("one", "kill")


@pytest.fixture(scope="module")
def hurried(start: MakeSite) -> Site:
    """Functions with the least time that Netlify lets one have."""
    return start("one", "run", AWL_SERVERLESS_TIMEOUT="11")


@pytest.fixture
def make_site(request: pytest.FixtureRequest) -> MakeSite:
    """Return the site whose processes are treated so, empty and on time."""

    def make(process: str = "in-process", after: str = "run") -> Site:
        site: Site = request.getfixturevalue(f"bridge_{process}_{after}".replace("-", "_"))
        site.clear()
        return site

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
