"""Runs of a deployed project of `kit init`, seen from outside: the real client and engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import respx

from kit import RunCancelled, RunStatus, WorkflowClient
from kit.client.doctor import examine
from kit.deploy.bundle.entries import text_of
from kit.deploy.bundle.plan import WorkflowFacts, plan
from kit.project.config import load
from kit.project.scaffold import init

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "kit" / "deploy" / "function" / "runtime"
WORKFLOW = "functions/workflows/publish_draft.py"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
STEP = 'await context.step.run("persist-title", '
GATE = """
    import asyncio, os
    while not os.path.exists(os.environ["GATE"]):
        await asyncio.sleep(0.02)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def site(folder: Path, make_rig: type[Rig], link_packages: Callable[[Path], None]) -> Iterator[Rig]:
    """The site: what `kit init` and `kit build` write, with a gate before the first step."""
    project = folder / "site"
    init(project)
    file = project / WORKFLOW
    before, found, after = file.read_text().partition(f"    {STEP}")
    assert found
    file.write_text(before.rstrip() + GATE + found + after)
    store = load(project, environ={}).get_workflow().store
    facts = WorkflowFacts("publish-draft", WORKFLOW, store=store)
    link_packages(project)
    for entry in plan([facts], [], "shared"):
        (project / "functions" / entry.file).write_text(text_of(entry, "functions"))
    bundle = project / ".kit" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "runtime").symlink_to(RUNTIME, target_is_directory=True)
    manifest = {
        "python": sys.executable,
        "root": str(project),
        "paths": [str(ROOT)],
        "workflows": {facts.name: facts.path},
        "folder": "functions/workflows",
        "functions": {},
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    env = {"GATE": str(folder / "gate"), "PYTHONDONTWRITEBYTECODE": "1"}
    with make_rig(project / "functions", env=env) as rig:
        yield rig


@pytest.fixture
def gate(folder: Path) -> Iterator[Path]:
    """What a run waits for before its first step: nobody has made it yet."""
    yield folder / "gate"
    (folder / "gate").unlink(missing_ok=True)


@pytest.fixture
def rig(
    site: Rig,
    gate: Path,  # closed when the next run begins
    tmp_path: Path,
    network: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> Rig:
    """The site, empty and on time."""
    site.reset()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    network.route(host="127.0.0.1").pass_through()
    return site


@pytest.fixture
def client(rig: Rig) -> Iterator[WorkflowClient]:
    with WorkflowClient(rig.url, rig.key) as client:
        yield client


def until(holds: Callable[[], bool], seconds: float = 200) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


def command(rig: Rig, *arguments: str) -> str:
    environ = {**os.environ, "WORKFLOW_BASE_URL": rig.url, "WORKFLOW_API_KEY": rig.key}
    done = subprocess.run(
        [sys.executable, "-m", "kit.cli", "runs", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return done.stdout


def test_a_run_is_seen_from_its_start_to_its_end(rig: Rig, client: WorkflowClient, gate: Path):
    run = client.run_workflow("publish-draft", {"title": " Ship it "}, id="k", delay="1 hour")
    assert run.status() is RunStatus.QUEUED
    assert client.get_workflow_run(run.id) is None  # it begins with its first delivery
    assert client.get_workflow_run(UNKNOWN) is None

    rig.advance(3601)
    scheduler = threading.Thread(target=rig.settle)  # which waits for what it starts
    scheduler.start()
    until(lambda: run.status() is RunStatus.RUNNING)
    gate.touch()
    scheduler.join()
    until(lambda: run.status() is RunStatus.SLEEPING)
    with pytest.raises(TimeoutError):
        run.result(timeout=0.5)
    rig.advance(31)
    rig.settle()
    result = run.result(timeout=200)

    assert result["title"] == "Ship it"
    assert result["eventId"] == run.id
    assert run.status() is RunStatus.COMPLETED
    details = run.details()
    assert details.steps == ("persist-title",)
    assert details.run.started is not None
    assert details.run.ended is not None
    assert not run.stop()
    [listed] = client.list_runs(workflow="publish-draft", status="completed")
    assert listed.id == run.id
    found = client.get_workflow_run(run.id)
    assert found is not None
    assert found.result() == result

    page = command(rig, "show", run.id[:8])
    for part in ("completed", "started", "ended", "persist-title", "slept", "Ship it"):
        assert part in page
    assert json.loads(command(rig, "result", run.id)) == result
    assert command(rig, "--status", "failed") == ""


def test_one_key_is_one_run(rig: Rig, client: WorkflowClient, gate: Path):
    gate.touch()
    one = client.run_workflow("publish-draft", id="order-7")
    two = client.run_workflow("publish-draft", id="order-7")
    until(lambda: one.status() is RunStatus.SLEEPING)

    assert one.id == two.id
    assert len(client.list_runs()) == 1
    assert two.stop()
    with pytest.raises(RunCancelled):
        one.result(timeout=200)
    three = client.run_workflow("publish-draft", id="order-7")
    rig.settle()
    assert three.status() is RunStatus.CANCELLED


def test_the_sites_store_is_tried_from_outside(rig: Rig, client: WorkflowClient):
    checks = list(examine(base_url=rig.url, api_key=rig.key, environ={}, try_store=True))
    tried = {each.name: each.ok for each in checks if each.name.startswith(("store", "runs"))}
    assert tried == {
        "runs API": True,
        "store: a key is created once": True,
        "store: a stale etag is refused": True,
        "store: 8 writers at once lose nothing": True,
        "store: conditional writes": True,
    }
    assert client.list_runs() == []
