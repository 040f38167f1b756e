"""
Many processes on one run file, as users have them: web servers, pools, terminals.

Real servers, real forks, `kill -9`. Each run notes in a log which process has executed its steps.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kit.model.run import RunStatus
from kit.store.sqlite.lease import holder
from kit.store.sqlite.reader import Reader

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

PATIENCE = 40.0

WORKFLOWS = {
    "walk": """
import asyncio, os
from kit import define_workflow

def note(name):
    fd = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{os.getpid()} {name}\\n".encode())
    os.close(fd)
    return os.getpid()

@define_workflow
async def walk(input, context):
    await context.step.run("first", note, f"{input} first")
    await context.step.sleep("nap", 0.05)
    return await context.step.run("last", note, f"{input} last")
""",
    "long": """
import time
from pathlib import Path
from kit import define_workflow

def may_end(input):
    time.sleep(0.05)
    return Path(f"go-{input}").exists()

@define_workflow
def long(input, context):
    context.step.run("begin", Path(f"begun-{input}").touch)
    for number in range(1000):
        if context.step.run(f"wait-{number}", may_end, input):
            return input
""",
}

WSGI = """
import json, os
import kit.sync as kit

def app(environ, start_response):
    what, *rest = environ["PATH_INFO"].strip("/").split("/")
    if what == "start":
        body = kit.run_workflow(rest[0], rest[1]).id
    elif what == "result":
        body = kit.get_workflow_run(rest[0]).result(100)
    elif what == "stop":
        body = kit.get_workflow_run(rest[0]).stop()
    else:
        body = None
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), body]).encode()]
"""

ASGI = """
import json, os
import kit
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def start(request):
    run = await kit.run_workflow(request.path_params["name"], request.path_params["input"])
    return JSONResponse([os.getpid(), run.id])

async def result(request):
    run = await kit.get_workflow_run(request.path_params["id"])
    return JSONResponse([os.getpid(), await run.result(100)])

async def up(request):
    return JSONResponse([os.getpid(), None])

async def lifespan(app):
    await kit.resume()
    yield

app = Starlette(
    routes=[Route("/start/{name}/{input}", start), Route("/result/{id}", result), Route("/", up)],
    lifespan=lifespan,
)
"""

PRELOADED = (
    WSGI
    + """
kit.run_workflow("walk", "preloaded").result(20)  # the parent has threads, a loop and the lease
"""
)


class Server:
    """A project, and a server of it on some port."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / ".kit/runs.db"
        self.port = 0
        (root / ".git").mkdir()
        folder = root / "functions/workflows"
        folder.mkdir(parents=True)
        for name, text in WORKFLOWS.items():
            (folder / f"{name}.py").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root)}

    def popen(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def serving(self, app: str, *command: str) -> Iterator[None]:
        (self.root / "app.py").write_text(app)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        process = self.popen(*(part.format(port=self.port) for part in command))
        try:
            self.wait_until_up(process)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                said, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
                pytest.fail(f"the server did not end: {said}")
            sys.stdout.write(said)  # shown if the test fails
        assert "StoreInUseError" not in said
        assert "Traceback" not in said, said

    def wait_until_up(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("/")
                return
            time.sleep(0.05)
        process.kill()
        pytest.fail(f"the server does not answer: {process.communicate()[0]}")

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=110) as said:
            return json.load(said)

    def ask_until_answered(self, path: str) -> Any:
        """Ask again where the worker that should answer dies meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.ask(path)
            except (OSError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def log(self) -> list[tuple[int, str]]:
        lines = (self.root / "log").read_text().splitlines()
        return [(int(pid), name) for pid, name in (line.split(" ", 1) for line in lines)]

    def is_begun(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self.root / f"begun-{name}").exists():
            assert time.monotonic() < deadline, "it has not begun"
            time.sleep(0.02)

    def is_in_order(self) -> None:
        with contextlib.closing(Reader(self.path)) as reader:
            assert {run.status for run in reader.runs()} == {RunStatus.COMPLETED}
            assert reader.requests() == []


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Server:
    return Server(tmp_path)


SERVERS = {
    "gunicorn": (WSGI, "-m", "gunicorn", "-w", "2", "--threads", "4"),
    "gunicorn-preload": (PRELOADED, "-m", "gunicorn", "-w", "2", "--threads", "4", "--preload"),
    "uvicorn": (ASGI, "-m", "uvicorn", "--workers", "2"),
}
WHERE = {
    "gunicorn": ("-b", "127.0.0.1:{port}", "app:app"),
    "uvicorn": ("--host", "127.0.0.1", "--port", "{port}", "app:app"),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_the_workers_of_a_web_server_share_the_runs(server: Server, kind: str) -> None:
    app, *command = SERVERS[kind]
    command += WHERE[kind.split("-", maxsplit=1)[0]]
    with server.serving(app, *command), ThreadPoolExecutor(6) as pool:
        started = list(pool.map(server.ask, (f"/start/walk/{n}" for n in range(30))))
        ended = list(pool.map(server.ask, (f"/result/{run_id}" for _, run_id in started)))
    log = [(pid, name) for pid, name in server.log() if not name.startswith("preloaded")]
    assert Counter(name for _, name in log) == {
        f"{n} {step}": 1 for n in range(30) for step in ("first", "last")
    }
    assert len({pid for pid, _ in log}) == 1, "one process drives"
    assert {result for _, result in ended} == {pid for pid, _ in log}
    server.is_in_order()


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_where_the_driving_worker_is_killed_another_goes_on(server: Server, kind: str) -> None:
    app, *command = SERVERS[kind]
    with server.serving(app, *command, *WHERE[kind]):
        _, run_id = server.ask("/start/long/a")
        server.is_begun("a")
        driver = holder(server.path)
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(server.ask_until_answered, f"/result/{run_id}")
            other = pool.submit(server.ask_until_answered, f"/result/{run_id}")
            time.sleep(0.3)
            os.kill(driver, signal.SIGKILL)
            killed = time.monotonic()
            while holder(server.path) in (0, driver):
                assert time.monotonic() - killed < PATIENCE
                time.sleep(0.01)
            (server.root / "go-a").touch()
            assert waiting.result(PATIENCE)[1] == other.result(PATIENCE)[1] == "a"
    server.is_in_order()


POOL = """
import multiprocessing, sys
import kit.sync as kit

def one(number):
    run = kit.run_workflow("walk", number)
    return run.result(100)

if __name__ == "__main__":
    method, before = sys.argv[1:]
    if before == "after-a-run":
        kit.run_workflow("walk", "before").result(100)
    with multiprocessing.get_context(method).Pool(3) as pool:
        pids = pool.map(one, range(20))
    print(len(pids), len(set(pids)))
    kit.run_workflow("walk", "after").result(100)
    print("ended")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("before", ["at-once", "after-a-run"])
def test_a_pool_of_processes_shares_the_runs(server: Server, method: str, before: str) -> None:
    (server.root / "pool.py").write_text(POOL)
    said, _ = server.popen("pool.py", method, before).communicate(timeout=2 * PATIENCE)
    assert said.splitlines()[-1:] == ["ended"], said
    assert said.splitlines()[0].startswith("20 ")
    ran = Counter(name for _, name in server.log())
    assert set(ran.values()) == {1}
    server.is_in_order()


def test_terminals_side_by_side_each_get_their_result(server: Server) -> None:
    runs = [server.popen("-m", "kit.cli", "run", "walk", "--data", f'"{n}"') for n in range(3)]
    for process in runs:
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
    assert set(Counter(name for _, name in server.log()).values()) == {1}
    server.is_in_order()


def test_a_terminal_beside_an_application_gets_its_result(server: Server) -> None:
    app, *command = SERVERS["uvicorn"]
    with server.serving(app, *command, *WHERE["uvicorn"]):
        server.ask("/start/walk/app")
        process = server.popen("-m", "kit.cli", "run", "walk", "--data", '"terminal"')
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
    assert {pid for pid, _ in server.log()} != {process.pid}
    server.is_in_order()


WAITS = """
import kit.sync as kit
from kit.engine import silence

silence.SILENT_MS = 1000  # not ten seconds
run = kit.run_workflow("walk", "waits")
print("started", flush=True)
for _ in range(30):
    try:
        run.result(timeout=1.5)
    except TimeoutError as error:
        if "answered" in str(error):
            print("TimeoutError:", error, flush=True)
            break
print(run.result(60) > 0)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system suspends no process")
def test_a_suspended_driver_is_named_to_who_waits(server: Server) -> None:
    (server.root / "waits.py").write_text(WAITS)
    driver = server.popen("-m", "kit.cli", "run", "long", "--data", '"suspended"')
    try:
        server.is_begun("suspended")
        os.kill(driver.pid, signal.SIGSTOP)
        waits = server.popen("waits.py")
        assert waits.stdout is not None
        said = [waits.stdout.readline() for _ in range(3)]
    finally:
        os.kill(driver.pid, signal.SIGCONT)
        (server.root / "go-suspended").touch()
        driver.communicate(timeout=2 * PATIENCE)
    rest, _ = waits.communicate(timeout=2 * PATIENCE)
    silent = f"process {driver.pid} drives these runs and has not answered for "
    assert said[0] == "started\n"
    assert silent in said[1], "in the log"
    assert said[2].startswith("TimeoutError: run ")
    assert "of 'walk' has not ended after 1.5 s: it is queued, and " + silent in said[2]
    assert f"`kill -CONT {driver.pid}`" in said[2]
    assert rest == "True\n"
    server.is_in_order()


FORKS = """
import os, sys
import kit.sync as kit

def act(name):
    return kit.run_workflow("walk", name).result(100)

act("before")
for number in range(5):
    child = os.fork()
    if not child:
        try:
            act(f"child-{number}")
            status = 0
        except BaseException as error:
            print("child", repr(error), flush=True)
            status = 1
        os._exit(status)
    act(f"parent-{number}")
    assert os.waitpid(child, 0)[1] == 0
print("ended")
"""


def test_a_program_forks_with_runs_under_way(server: Server) -> None:
    (server.root / "forks.py").write_text(FORKS)
    said, _ = server.popen("forks.py").communicate(timeout=2 * PATIENCE)
    assert said == "ended\n", said
    assert set(Counter(name for _, name in server.log()).values()) == {1}
    server.is_in_order()


def test_a_killed_parent_leaves_the_runs_to_its_children(server: Server) -> None:
    (server.root / "orphans.py").write_text(ORPHANS)
    process = server.popen("orphans.py")
    server.is_begun("child")
    parent = holder(server.path)
    assert parent == process.pid
    os.kill(parent, signal.SIGKILL)
    (server.root / "go-child").touch()
    said, _ = process.communicate(timeout=2 * PATIENCE)
    assert said == "child\n", said
    server.is_in_order()


ORPHANS = """
import os, time
import kit.sync as kit

kit.run_workflow("walk", "before").result(100)
if os.fork():
    time.sleep(60)
print(kit.run_workflow("long", "child").result(100), flush=True)
"""


def test_a_clean_end_leaves_one_whole_file(server: Server) -> None:
    process = server.popen("-m", "kit.cli", "run", "walk", "--data", '"x"')
    assert process.communicate(timeout=PATIENCE)
    script = server.root / "script.py"
    script.write_text("import kit.sync as kit\nprint(kit.run_workflow('walk', 'y').result(100))")
    assert server.popen("script.py").communicate(timeout=PATIENCE)
    (server.root / "copy").mkdir()
    copy = server.root / "copy/runs.db"
    copy.write_bytes(server.path.read_bytes())
    with contextlib.closing(Reader(copy)) as reader:
        assert len(reader.runs()) == 2
    assert server.path.stat().st_mode & 0o777 == 0o600
