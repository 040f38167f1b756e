"""
A project as it runs once deployed: built, zipped by Netlify's bundler, started as Lambda does.

`boot/` says how. The project is made by `kit init`, with a few functions more; it needs pydantic,
numpy and a module of its own, and is built once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import respx

from tests.real import boot
from tests.support.listening import server

HERE = Path(__file__).parent
KEY = "rig-key"
BUILD_KEY = "6f2c-the-key-of-the-site-while-it-is-built"


needs_walls = pytest.mark.skipif(bool(boot.why_not_isolated()), reason=boot.why_not_isolated())

PLAIN = """
import { existsSync, readdirSync, writeFileSync } from "node:fs";

const attempt = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };

const answers = {
  echo: async (request, context) => Response.json({
    method: request.method, url: request.url, body: await request.text(),
    header: request.headers.get("x-given"), deploy: context.deploy.id, ip: context.ip,
  }),
  stream: () => new Response(new ReadableStream({
    async start(controller) {
      for (const piece of ["one", "two"]) {
        controller.enqueue(new TextEncoder().encode(piece));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      controller.close();
    },
  })),
  nothing: () => new Response(null, { status: 204, headers: [["x-two", "a"], ["x-two", "b"]] }),
  throw: () => { throw new RangeError("on purpose"); },
  breakOff: () => new Response(new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode("a part")),
    pull: () => { throw new RangeError("on purpose"); },
  })),
  exit: () => process.exit(3),
  see: () => Response.json({
    pid: process.pid, uid: process.getuid(), root: readdirSync("/"),
    seen: process.env.SEEK.split(":").filter(existsSync),
    task: attempt(() => writeFileSync(`${process.env.LAMBDA_TASK_ROOT}/new`, "")),
    tmp: attempt(() => writeFileSync("/tmp/new", "")),
  }),
};

console.log("imported");
export default (request, context) => {
  const { pathname } = new URL(request.url);
  return answers[pathname.slice(1)](request, context);
};
"""

FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": """
import numpy
from pydantic import BaseModel

class Prices(BaseModel):
    each: list[float]

    @property
    def total(self) -> float:
        return float(numpy.sum(self.each))
""",
    "functions/api/publish.py": """
import os, sys

from kit import get_workflow_run, run_workflow

async def post(request):
    run = await run_workflow("publish-draft", {"title": "Ship weekly digest"})
    return {"eventId": run.id, "status": await run.status()}

async def patch(request):
    run = await get_workflow_run(request.query_params["id"])
    result = await run.result(timeout=30) if "wait" in request.query_params else None
    return {"pid": os.getpid(), "status": await run.status(), "result": result}

def get(request):
    if request.query_params.get("crash"):
        os._exit(9)
    return {"pid": os.getpid()}

def put():
    from shop.prices import Prices

    root = os.environ["LAMBDA_TASK_ROOT"]
    return {
        "uid": os.getuid(),
        "prefix": sys.prefix,
        "foreign": [path for path in sys.path if not path.startswith(root)],
        "task": attempt(os.path.join(root, "new")),
        "tmp": attempt("/tmp/new"),
        "total": Prices(each=[1, 2.5]).total,
    }

def attempt(path):
    try:
        with open(path, "w"):
            return "done"
    except OSError as error:
        return type(error).__name__
""",
    "functions/workflows/crashing.py": """
import os

from kit import Context, define_workflow

def note(what, context):
    print("NOTED", what, context.event_id, context.attempt)
    return what

@define_workflow
async def crashing(input: dict, context: Context) -> None:
    await context.step.run("one", note, "one", context)
    if input["crashes"] and context.attempt == 0:
        os._exit(9)
    await context.step.run("two", note, "two", context)
    note("end", context)
""",
}


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A function in plain JavaScript, zipped and unpacked."""
    project = tmp_path_factory.mktemp("plain")
    (project / "package.json").write_text('{"type": "module"}')
    (project / "functions").mkdir()
    file = project / "functions" / "hello.mjs"
    file.write_text(PLAIN)
    zips = boot.zip_functions(project, project / "zips", [file])
    task: Path = boot.unpack(zips["hello"], project / "task")
    return task


@pytest.fixture(scope="session")
def jail(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return boot.Jail(tmp_path_factory.mktemp("jail"))


@pytest.fixture
def hello(plain: Path, jail: Any) -> Iterator[Any]:
    with boot.Booted(plain, jail, env={"SEEK": f"{HERE}:{sys.executable}:/usr/bin"}) as booted:
        yield booted


def test_a_plain_function_gets_a_request_and_answers_it(hello: Any):
    answer = hello.invoke("POST", "/echo?a=1", {"X-Given": "value"}, "Grüße".encode())

    assert (answer.status, answer.error) == (200, None)
    assert answer.headers["content-type"] == ["application/json"]
    assert answer.json() == {
        "method": "POST",
        "url": "https://site.example/echo?a=1",
        "body": "Grüße",
        "header": "value",
        "deploy": "deploy",
        "ip": "203.0.113.7",
    }
    assert 0 < answer.took < hello.cold_ms == answer.up
    assert hello.log == "imported\n"


def test_a_body_comes_piece_by_piece(hello: Any):
    answer = hello.invoke(path="/stream")

    moments = {data: moment for moment, data in answer.chunks}
    assert answer.body == b"onetwo"
    assert moments[b"two"] > moments[b"one"]  # else they were one piece


def test_an_answer_may_have_no_body_and_a_header_twice(hello: Any):
    answer = hello.invoke(path="/nothing")

    assert (answer.status, answer.body, answer.headers["x-two"]) == (204, b"", ["a, b"])


def test_a_function_that_throws_fails_and_goes_on(hello: Any):
    failed = hello.invoke(path="/throw")
    broken = hello.invoke(path="/breakOff")

    assert failed.status == 502
    assert failed.error == {"errorType": "RangeError", "errorMessage": "on purpose"}
    assert broken.status == 502
    assert b"a part".startswith(broken.body)  # what had not gone out by then may be lost
    assert hello.invoke(path="/echo").status == 200


def test_a_process_that_ends_is_told_of(hello: Any):
    assert "ended with 3" in hello.invoke(path="/exit").error["errorMessage"]
    assert hello.invoke(path="/echo").status == 502


def test_a_function_that_cannot_be_imported_fails_when_it_is_called(tmp_path: Path, jail: Any):
    (tmp_path / "functions").mkdir()
    file = tmp_path / "functions" / "bad.mjs"
    file.write_text("throw new Error('at import'); export default () => {};")
    task = boot.unpack(boot.zip_functions(tmp_path, tmp_path / "z", [file])["bad"], tmp_path / "t")

    with boot.Booted(task, jail) as booted:
        assert booted.invoke().error["errorMessage"] == "at import"


@needs_walls
def test_there_is_nothing_but_the_function_and_node(hello: Any):
    seen = hello.invoke(path="/see").json()

    assert (seen["seen"], seen["task"], seen["tmp"]) == ([], "EROFS", "done")
    assert not {"home", "root", "usr", "work"} & set(seen["root"])
    assert seen["pid"] == hello.pid
    if os.geteuid() == 0:
        assert seen["uid"] == 993


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project, built, zipped and unpacked: `project`, `tasks` by function, and a `jail`."""
    folder = tmp_path_factory.mktemp("deployed")
    project = _lay_out(folder / "project")
    keys = {"AWL_API_KEY": BUILD_KEY, "WORKFLOW_API_KEY": BUILD_KEY}
    report = boot.build(project, {**boot.cpython_downloads(folder), **keys})
    return SimpleNamespace(
        project=project,
        tasks=_tasks(project, folder),
        jail=boot.Jail(folder, is_open=report["isRunning"]),
        is_running=report["isRunning"],
    )


def _lay_out(project: Path) -> Path:
    boot.init(project)
    for path, text in FILES.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text)
    workflow = project / "functions" / "workflows" / "publish_draft.py"
    text = workflow.read_text().replace("30 seconds", "1 second")
    recorded = text.replace("@define_workflow\n", '@define_workflow(store="blobs")\n')
    assert recorded != text != workflow.read_text()
    workflow.with_name("publish_recorded.py").write_text(recorded)
    settings = project / "pyproject.toml"
    text = settings.read_text()
    settings.write_text(text.replace('dependencies = ["', 'dependencies = ["numpy", "', 1))
    return project


def _tasks(project: Path, folder: Path, names: str = "*") -> dict[str, Path]:
    files = sorted((project / "functions").glob(f"{names}.mjs"))
    zips = boot.zip_functions(project, folder / "zips", files)
    return {name: boot.unpack(file, folder / "tasks" / name) for name, file in zips.items()}


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


def _noted(booted: Any) -> list[list[str]]:
    lines = (line.partition("NOTED ")[2] for line in booted.log.splitlines())
    return [line.split() for line in lines if line]


def _stored(rig: Any) -> list[Any]:
    return [each["body"] for stored in rig.events().values() for each in stored]


def test_python_and_its_packages_are_the_bundles_own(built: Any, start: MakeBooted):
    told = start("kit-api-publish").invoke("PUT", "/api/publish").json()

    root = built.jail.task_root(built.tasks["kit-api-publish"])
    assert told["total"] == 3.5
    assert told["foreign"] == []
    if not built.is_running:
        assert told["prefix"] == f"{root}/.kit/bundle/python"


@needs_walls
def test_it_runs_read_only_as_another_user(built: Any, start: MakeBooted):
    if built.is_running:
        pytest.skip("there is no CPython to bundle but the running one, which needs this machine")
    told = start("kit-api-publish").invoke("PUT", "/api/publish").json()

    assert (told["task"], told["tmp"]) == ("OSError", "done")
    if os.geteuid() == 0:
        assert told["uid"] == 993


@needs_walls
def test_it_runs_with_an_older_glibc(built: Any, tmp_path: Path, network: respx.MockRouter):
    base = os.environ.get("KIT_BOOT_BASE", "")
    if not base:
        pytest.skip("KIT_BOOT_BASE names no root folder of an older system")
    jail = boot.Jail(tmp_path, base=Path(base))

    with boot.Booted(built.tasks["kit-api-publish"], jail) as booted:
        assert booted.invoke("PUT", "/api/publish").json()["total"] == 3.5


def test_an_http_function_starts_a_workflow(engine: Any, start: MakeBooted):
    rig = engine.rig
    http = start("kit-api-publish", env={"URL": rig.url})

    answer = http.invoke("POST", f"{rig.url}/api/publish")
    rig.idle()

    assert (answer.status, answer.json()["status"]) == (200, "queued"), http.log
    assert [each["eventId"] for each in _stored(rig)] == [answer.json()["eventId"]]


def test_a_delivery_is_acknowledged_and_its_step_stored(engine: Any):
    name = "publish-draft"
    path = f'{engine.rig.url}/.netlify/functions/kit-workflows?events=["{name}"]'
    body = boot.delivery(name, {"title": " Ship it "})
    headers = {"authorization": f"Bearer {KEY}"}

    answer = engine.booted.invoke("POST", path, headers, body, blobs=boot.blobs_of(engine.rig))

    [stored] = _stored(engine.rig)
    [step] = stored["stepResults"]
    assert (answer.status, answer.error) == (200, None)
    assert step["stepId"] == "persist-title"
    assert json.loads(json.loads(step["stepResult"]))["value"] == "Ship it"


def test_the_project_of_kit_init_runs_to_its_end(engine: Any):
    rig = engine.rig
    boot.send(rig, "publish-draft", {"title": "Ship weekly digest"})

    rig.settle()
    [sleeping] = _stored(rig)
    rig.advance(31)
    rig.settle()

    assert len(sleeping["stepResults"]) == 2  # the title, and the beginning of the sleep
    assert _stored(rig) == []
    assert len(rig.log("kit-workflows")) == 3


def test_crashes_lose_nothing(engine: Any):
    rig, count = engine.rig, 6
    sent = [boot.send(rig, "crashing", {"crashes": crashes}) for crashes in (True, False) * count]
    rig.settle(limit=200)
    rig.advance(6)
    rig.settle(limit=200)

    noted = _noted(engine.booted)
    assert _stored(rig) == []
    assert engine.booted.log.count("Python ended with exit status 9") == count
    for step in ("one", "two", "end"):
        assert sorted(event for what, event, _ in noted if what == step) == sorted(sent)


def test_hundreds_of_invocations_and_ten_crashes_leave_nothing_behind(start: MakeBooted):
    # little room makes V8 tidy up: what it only has not come round to is no leak
    little = {"NODE_OPTIONS": "--max-old-space-size=24 --max-semi-space-size=1"}
    function = start("kit-api-publish", env=little)

    def answer(number: int) -> Any:
        crashes = number >= 400 and number % 20 == 0
        return function.invoke(path=f"/api/publish{'?crash=1' * crashes}")

    def state() -> tuple[int, int]:
        return function.descriptors(), len(function.children())

    before = [answer(number) for number in range(200)]
    then, memory = state(), function.memory()
    after = [answer(number) for number in range(200, 600)]

    assert len({each.json()["pid"] for each in before + after[:200]}) == 1
    assert [each.status for each in after[200:]] == ([500] + [200] * 19) * 10
    assert (state(), then[1]) == (then, 1)
    assert function.memory() - memory < 8_000_000


def test_frozen_between_invocations_it_goes_on(start: MakeBooted):
    probe = start("kit-api-publish", freeze=True)

    answers = [probe.invoke(path="/api/publish") for _ in range(5)]

    assert len({answer.json()["pid"] for answer in answers}) == 1
    assert max(answer.took for answer in answers) < 20_000  # it is there at once, on any machine


def test_a_run_with_a_record_goes_on_in_a_thawed_process_and_is_seen_from_a_thawed_function(
    recorded: Any, start: MakeBooted
):
    rig, booted = recorded.rig, recorded.booted
    http = start("kit-api-publish", freeze=True, env={"URL": rig.url})
    event_id = boot.send(rig, "publish-recorded", {"title": " Ship it "})
    python = booted.children()

    def look(more: str = "") -> Any:
        return http.invoke("PATCH", f"{rig.url}/api/publish?id={event_id}{more}").json()

    seen = look()
    assert (seen["status"], seen["result"]) == ("sleeping", None), booted.log
    for _ in range(100):
        rig.advance(1)  # of the engine; the functions' second is a real one
        rig.settle()
        if look()["status"] == "completed":
            break

    told = look("&wait=")
    assert (told["status"], told["result"]["title"]) == ("completed", "Ship it"), booted.log
    assert told["pid"] == seen["pid"]
    assert booted.children() == python
    assert len(rig.log("kit-workflows-blobs")) >= 2
    assert _stored(rig) == []


def test_the_key_of_the_build_is_in_no_file_of_any_function(built: Any):
    for name, task in built.tasks.items():
        for file in task.rglob("*"):
            if file.is_file() and not file.is_symlink():
                assert BUILD_KEY.encode() not in file.read_bytes(), (name, file)


FORGED = "forged.example"
FORGERIES: list[tuple[str, dict[str, str]]] = [
    ("/api/publish", {"host": FORGED, "x-forwarded-host": FORGED, "forwarded": f"host={FORGED}"}),
    (f"http://{FORGED}/api/publish", {"host": FORGED}),
    ("/api/publish", {"x-nf-deploy-id": f"{FORGED}/", "x-nf-deploy-context": "deploy-preview"}),
    ("/api/publish", {}),
]
ACCEPTED = b"HTTP/1.1 200 OK\r\nx-awl-ack: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def test_the_key_goes_to_the_sites_own_address_whatever_a_request_says(start: MakeBooted):
    heard: list[bytes] = []

    def accept(asked: bytes) -> bytes:
        heard.append(asked)
        return ACCEPTED

    with server(accept) as site:
        http = start("kit-api-publish", env={"URL": site})  # one process for all, as when warm
        for path, headers in FORGERIES:
            answer = http.invoke("POST", path, headers)
            assert answer.status == 200, http.log  # the forged host is none: what went there fails

    to_router = [asked for asked in heard if b"async-workloads-router" in asked]
    assert len(to_router) == len(FORGERIES)
    assert all(f"Bearer {KEY}".encode() in asked for asked in to_router)
