"""Sites with records, one for each way to treat processes, emptied for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.records.site import Site, lay_out

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def functions(
    tmp_path_factory: pytest.TempPathFactory, link_packages: Callable[[Path], None]
) -> Path:
    """What `kit build` writes, without an interpreter of its own."""
    return lay_out(tmp_path_factory.mktemp("site"), link_packages)


@pytest.fixture(scope="session")
def start_site(
    functions: Path, make_rig: type[Rig], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeSite]:
    """Start a site of one's own, which lasts until all tests are over."""
    with contextlib.ExitStack() as stack:

        def start(
            process: str = "in-process", after: str = "run", folder: Path = functions, **env: str
        ) -> Site:
            tally = tmp_path_factory.mktemp("tally") / "tally"
            variables = {"TALLY": str(tally), "PYTHONDONTWRITEBYTECODE": "1", **env}
            rig = make_rig(folder, process=process, after=after, env=variables)
            return Site(stack.enter_context(rig), tally)

        yield start


@pytest.fixture(scope="session")
def in_process_run(start_site: MakeSite) -> Site:
    return start_site()


@pytest.fixture(scope="session")
def one_run(start_site: MakeSite) -> Site:
    return start_site("one")


@pytest.fixture(scope="session")
def one_freeze(start_site: MakeSite) -> Site:
    return start_site("one", "freeze")


@pytest.fixture(scope="session")
def one_end(start_site: MakeSite) -> Site:
    return start_site("one", "end")


@pytest.fixture(scope="session")
def one_kill(start_site: MakeSite) -> Site:
    return start_site("one", "kill")


@pytest.fixture
def make_site(request: pytest.FixtureRequest) -> MakeSite:
    """Return the site whose processes are treated so, empty and on time."""

    def make(process: str = "in-process", after: str = "run") -> Site:
        name = f"{process}_{after}".replace("-", "_")
        site: Site = request.getfixturevalue(name)
        site.clear()
        return site

    return make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
