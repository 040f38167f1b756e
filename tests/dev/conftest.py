"""A project in a folder of its own, its runs, and a client of its addresses, without a socket."""

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jinja2
import pytest

from kit.client import default
from kit.dev.access import Access
from kit.dev.app import Site, make_app
from kit.dev.events import Events
from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.dev.provider import DevProvider
from kit.dev.runs_api import RunsApi
from kit.project.config import load

PORT = 8888
ORIGIN = f"http://127.0.0.1:{PORT}"
TOKEN = "t0ken"

HELLO = """
from kit import define_workflow

@define_workflow
async def hello(input, context):
    context.logger.info("greeting %s", input)
    text = await context.step.run("greet", lambda: f"hello {input}")
    if input == "nap":
        await context.step.sleep("rest", "2 days")
    if input == "fail":
        raise ValueError("no more")
    return text
"""
ONCE = HELLO.replace("@define_workflow", "@define_workflow(max_retries=0)")


class _Compiled(jinja2.BytecodeCache):
    """What templates are compiled to, by their texts."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if known := self._known.get(bucket.key + bucket.checksum):
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._known[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> Iterator[None]:
    """Templates are compiled once for all tests, whoever makes what renders them."""
    once = functools.partial(jinja2.Environment, bytecode_cache=_Compiled())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2, "Environment", once)
        yield


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project; its modules are forgotten at the end."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "functions/workflows").mkdir(parents=True)
    monkeypatch.setattr("os.environ", {"PATH": "", "WORKFLOW_DURABILITY": "normal"})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


Write = Callable[..., Path]


@pytest.fixture
def write(root: Path) -> Write:
    """Write a file of the project."""

    def write(path: str, text: str) -> Path:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def told() -> list[str]:
    """What whoever works here was told."""
    return []


@pytest.fixture
async def project(root: Path, write: Write, told: list[str]) -> AsyncIterator[DevProject]:
    write("functions/workflows/hello.py", ONCE)
    project = DevProject(load(root), told.append)
    await project.load()
    yield project
    await project.close()


@pytest.fixture
async def runs(project: DevProject, told: list[str]) -> AsyncIterator[LocalRuns]:
    config = project.config
    async with LocalRuns(
        config.path, project.workflows, config.get_workflow(), tell=told.append
    ) as runs:
        yield runs


@pytest.fixture
def keys() -> list[str]:
    """The key that is set, if one is."""
    return []


@pytest.fixture
async def site(
    project: DevProject, runs: LocalRuns, told: list[str], keys: list[str]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of all addresses."""
    access = Access(lambda: keys[0] if keys else None)
    app: Any = make_app(
        port=PORT,
        token=TOKEN,
        dashboard=(),
        addresses=[*Events(runs, access, told.append).routes(), *RunsApi(runs, access).routes()],
        site=Site(project),
    )
    before = default.use(default.Default(DevProvider(runs), project.workflows))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        yield client
    default.use(before)


async def ended(runs: LocalRuns, run_id: str) -> Any:
    """Return a run that has come to its end."""
    return await asyncio.wait_for(runs.driving.wait(run_id), 50)


async def until(condition: Callable[[], Any]) -> Any:
    """Return what *condition* comes to, once that is something."""
    async with asyncio.timeout(50):
        while True:
            found = condition()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(0.005)
