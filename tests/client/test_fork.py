"""After a fork the child begins afresh: nothing of its parent's is used, or waited for."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import respx

from kit import AsyncWorkflowClient, WorkflowClient
from kit.client import background
from kit.model.running import current
from kit.model.workflow import Workflow
from kit.project.loading import loading
from kit.testing import play
from tests.support.children import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def plain(input: object, context: object) -> int:
    return context.step.run("where", os.getpid)  # type: ignore[attr-defined, no-any-return]


def test_play_finds_a_thread_for_a_plain_step_in_the_child(tmp_path: Path) -> None:
    flow = Workflow(plain, name="flow")
    assert play(flow).result == os.getpid()

    def act() -> None:
        assert play(flow).result == os.getpid()

    assert in_child(act) == 0


def test_the_background_loop_is_the_childs_own() -> None:
    async def where() -> int:
        return threading.get_ident()

    before = background.loop()
    assert background.start(where()).result(50)

    def act() -> None:
        assert background.loop() is not before
        assert background.start(where()).result(50)

    assert in_child(act) == 0
    assert background.loop() is before


def test_a_fork_within_a_step_leaves_the_run_to_the_parent() -> None:
    def forks() -> int:
        return in_child(lambda: current.get() is None or os._exit(8))

    def handler(input: object, context: object) -> int:
        return context.step.run("fork", forks)  # type: ignore[attr-defined, no-any-return]

    assert play(Workflow(handler, name="flow")).result == 0


def test_what_belongs_to_the_parent_is_told_to_begin_afresh() -> None:
    class Held:
        fresh = False

        def begin_afresh(self) -> None:
            self.fresh = True

    held = Held()
    background.begins_afresh(held)

    def act() -> None:
        assert held.fresh

    assert in_child(act) == 0
    assert not held.fresh


@contextmanager
def counting() -> Iterator[tuple[str, list[int]]]:
    """Give a site that acknowledges all it gets, and counts the connections made to it."""
    made: list[int] = []

    class Site(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            made.append(1)
            super().setup()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("x-awl-ack", "ack")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def loopback(network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    network.route(host="127.0.0.1").pass_through()


@pytest.mark.usefixtures("loopback")
def test_a_client_of_a_site_makes_connections_of_its_own_in_the_child() -> None:
    with counting() as (url, made), WorkflowClient(url) as client:
        client.send_event("a")
        client.send_event("b")
        assert len(made) == 1
        assert in_child(lambda: client.send_event("c")) == 0
        assert len(made) == 2
        client.send_event("d")
        assert len(made) == 2


@pytest.mark.usefixtures("loopback")
def test_an_async_client_is_used_on_the_childs_own_loop() -> None:
    with counting() as (url, made), asyncio.Runner() as runner:
        client = AsyncWorkflowClient(url)
        runner.run(client.send_event("a"))
        assert in_child(lambda: asyncio.run(client.send_event("b"))) == 0
        runner.run(client.send_event("c"))
        assert len(made) == 2
        runner.run(client.aclose())


def test_a_fork_waits_for_what_another_thread_is_loading() -> None:
    entered, told, loaded = threading.Event(), threading.Event(), list[str]()

    def load() -> None:
        with loading():
            entered.set()
            told.wait(50)
            loaded.append("all of it")

    def act() -> None:
        assert loaded, "it was cut in two"
        with loading():
            pass

    thread = threading.Thread(target=load)
    thread.start()
    entered.wait(50)
    threading.Timer(0.05, told.set).start()
    assert in_child(act) == 0
    thread.join()
    with loading():
        assert in_child(act) == 0, "whoever loads may fork"


FORKS = """
import os, sys, threading, time
import kit.sync

def start():
    for _ in range(2):
        kit.sync.run_workflow("flow", os.getpid())

def go_on():
    while not over:
        start()

over = False
threads = [threading.Thread(target=go_on) for _ in range(4)]
for thread in threads:
    thread.start()
children = []
for _ in range(8):
    time.sleep(0.03)  # some while modules are loaded, some while events are sent
    children.append(os.fork())
    if not children[-1]:
        start()
        os._exit(0)
statuses = [os.waitpid(each, 0)[1] for each in children]
over = True
for thread in threads:
    thread.join()
print(statuses, len(children))
"""


def test_children_send_too_that_are_forked_while_threads_of_the_parent_send(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with counting() as (url, made):
        environ = {**os.environ, "WORKFLOW_BASE_URL": url, "NO_PROXY": "127.0.0.1"}
        said = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FORKS],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=200,
        )
    assert (said.stdout, said.stderr) == (f"{[0] * 8} 8\n", "")
    assert len(made) >= 9, "each process over connections of its own"
