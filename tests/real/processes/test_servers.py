"""
Many processes on one run file: web servers and their workers.

Real servers, real forks, `kill -9`. Each run notes in a log which process has executed its steps.
"""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.store.sqlite.lease import holder
from tests.real.processes.server import PATIENCE, Server

WSGI = """
import json, os
from pathlib import Path
import kit.sync as kit

Path(f"up-{os.getpid()}").touch()

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
from pathlib import Path
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
    Path(f"up-{os.getpid()}").touch()
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
        server.are_up(1 if kind == "gunicorn-preload" else 2)  # there the parent imports it
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
        server.are_up(2)
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
        server.are_up(3)  # with the one that stands in for the one that was killed
    server.is_in_order()


def test_a_terminal_beside_an_application_gets_its_result(server: Server) -> None:
    app, *command = SERVERS["uvicorn"]
    with server.serving(app, *command, *WHERE["uvicorn"]):
        server.are_up(2)
        server.ask("/start/walk/app")
        process = server.popen("-m", "kit.cli", "run", "walk", "--data", '"terminal"')
        said, _ = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, said
    assert {pid for pid, _ in server.log()} != {process.pid}
    server.is_in_order()
