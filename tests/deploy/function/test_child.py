"""The Python side of the bridge in this process, with the test as Node."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.client.default import Default, provider, use
from kit.deploy.function import child as child_module
from kit.deploy.function import environment
from kit.deploy.function.child import serve
from kit.deploy.function.loading import Loader
from kit.deploy.function.logs import Lines, Logs, running
from kit.deploy.function.manifest import read_manifest
from kit.model.errors import WorkflowNotFoundError
from kit.project.catalog import Catalog

ID = "11111111-1111-4111-8111-111111111111"
PROJECT = Path(__file__).parent / "project"

SOURCES = {
    "works": "return {'data': input, 'attempt': context.attempt, 'who': context.provider}",
    "steps": "await context.step.run('a', lambda: 2**80)",
    "shuts": "import sys; print('first'); exec(input)",
    "speaks": "print('said', end=''); context.logger.info('logged')",
    "leaves": "raise BaseException('left')",
    "fails": "raise ValueError('no')",
    "waits": "import asyncio; await asyncio.sleep(30)",
    "catches": """
    import asyncio
    async def bad():
        raise ValueError('kept')
    await asyncio.gather(context.step.run('good', lambda: 1), context.step.run('bad', bad))""",
    "counts": "return len(input)",
    "changes": "import os; return [os.environ.get('ONE'), os.environ.get('TWO')]",
    "sends": "await context.send_event('other', {'n': 1})",
}
BROKEN = "import nothing_of_that_name"
FUNCTIONS = {
    "hello": "async def post(request):\n    return (await request.body()).decode() + '!'\n",
    "slow": "import asyncio\nasync def get():\n    await asyncio.sleep(30)\n",
    "[id]": "def get(request):\n    return request.path_params\n",
    "[bad]": "raise RuntimeError('at import')\n",
}


class Node:
    """The other end: sends frames, and keeps those that come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.logs: list[dict[str, Any]] = []

    def say(self, **frame: Any) -> None:
        self._writer.write(json.dumps(frame).encode() + b"\n")

    def say_text(self, text: str) -> None:
        self._writer.write(text.encode())

    async def hear(self) -> dict[str, Any]:
        """Return the next frame that is no log."""
        while True:
            frame = json.loads(await asyncio.wait_for(self._reader.readline(), 10))
            if frame["type"] != "log":
                return frame
            self.logs.append(frame)

    async def invoke(self, workflow: str, *, call: int = 1, **more: Any) -> dict[str, Any]:
        item = {"eventName": workflow, "eventId": ID, **more.pop("item", {})}
        self.say(type="invoke", call=call, workflow=workflow, event=item, timeLeft=20, **more)
        return await self.hear()


Start = Callable[[], Any]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "app" / "functions" / "workflows"
    folder.mkdir(parents=True)
    for name, work in SOURCES.items():
        (folder / f"{name}.py").write_text(
            "from kit import define_workflow\n\n@define_workflow\n"
            f"async def {name}(input, context):\n    {work}\n"
        )
    (folder / "broken.py").write_text(BROKEN)
    names = [*SOURCES, "broken"]
    api = tmp_path / "app" / "functions" / "api"
    api.mkdir()
    for name, text in FUNCTIONS.items():
        (api / f"{name}.py").write_text(text)
    manifest = {
        "python": "python",
        "root": "app",
        "paths": [],
        "folder": "functions/workflows",
        "workflows": {name: f"functions/workflows/{name}.py" for name in names},
        "functions": {name: f"functions/api/{name}.py" for name in FUNCTIONS},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.fixture(autouse=True)
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give back what the child puts in the place of the process's own."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    monkeypatch.setattr(sys, "path", [*sys.path])
    level = logging.getLogger("kit").level
    monkeypatch.setattr(logging.getLogger("kit"), "level", level)


@asynccontextmanager
async def talking(bundle: Path) -> AsyncIterator[Node]:
    ours, theirs = socket.socketpair()
    with theirs:
        serving = asyncio.create_task(serve(bundle, theirs))
        reader, writer = await asyncio.open_connection(sock=ours, limit=2**24)
        node = Node(reader, writer)
        assert (await node.hear())["type"] == "ready"
        yield node
        writer.close()
        await asyncio.wait_for(serving, 10)


async def test_an_event_is_answered_by_its_workflow(bundle: Path):
    async with talking(bundle) as node:
        item = {"data": {"n": 1}, "attemptContext": {"attempt": 3}}
        said = await node.invoke("WORKS", item=item)

    result = {"data": {"n": 1}, "attempt": 3, "who": "netlify"}
    assert said == {
        "type": "completed",
        "call": 1,
        "result": json.dumps(result, separators=(",", ":")),
    }


async def test_a_fresh_step_suspends(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("steps")

    assert said["checkpoints"] == [{"id": "a", "text": f'{{"sequence":0,"value":{2**80}}}'}]


async def test_what_is_expected_is_imported_ahead(bundle: Path):
    async with talking(bundle) as node:
        for name in ("works", "broken", "unknown"):
            node.say(type="prepare", workflow=name)
        said = await node.invoke("works")

    assert said["type"] == "completed"


async def test_calls_side_by_side_are_told_apart(bundle: Path):
    async with talking(bundle) as node:
        for call in (1, 2, 3):
            item = {"eventName": "works", "eventId": ID, "data": call}
            node.say(type="invoke", call=call, workflow="works", event=item)
        heard = [await node.hear() for _ in range(3)]

    assert sorted((each["call"], json.loads(each["result"])["data"]) for each in heard) == [
        (1, 1), (2, 2), (3, 3)
    ]  # fmt: skip


async def test_a_failure_of_an_import_is_an_ordinary_one_with_the_files_own_traceback(
    bundle: Path,
):
    async with talking(bundle) as node:
        said = await node.invoke("broken", item={"attemptContext": {"nextDelayTime": 77}})

    assert (said["final"], "retryIn" in said) == (False, False)
    assert said["error"]["type"] == "WorkflowImportError"
    assert "nothing_of_that_name" in said["error"]["traceback"]


async def test_an_unknown_workflow_is_told_with_the_known_ones(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("unknown")

    assert "it has: broken, catches, changes," in said["error"]["message"]


async def test_an_id_that_is_none_is_final(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("works", item={"eventId": "7"})

    assert (said["type"], said["final"]) == ("failed", True)


async def test_whatever_is_raised_there_is_an_end(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("leaves")
        again = await node.invoke("works", call=2)

    assert said["error"]["type"] == "BaseException"
    assert again["type"] == "completed"


async def test_what_takes_too_long_names_the_limit_and_spends_the_process(bundle: Path):
    async with talking(bundle) as node:
        item = {"eventName": "waits", "eventId": ID}
        node.say(type="invoke", call=1, workflow="waits", event=item, timeLeft=0.5)
        said = await node.hear()

    assert said["isSpent"] is True
    assert said["error"]["code"] == "FUNCTION_TIMED_OUT"
    assert "after 0.4 s, the limit of its function" in said["error"]["message"]
    assert "background=True" in said["error"]["message"]


async def test_a_failure_that_becomes_a_suspension_is_in_the_log(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("catches")

    assert [each["id"] for each in said["checkpoints"]] == ["good"]
    assert said["sleeps"] == [{"id": "kit:retry:0", "ms": 5_000}]
    assert "ValueError: kept" in node.logs[-1]["text"]


async def test_output_carries_the_call_and_the_event(bundle: Path):
    async with talking(bundle) as node:
        await node.invoke("speaks", call=9)

    said = {"type": "log", "call": 9, "level": "info", "text": "said", "eventId": ID}
    assert node.logs == [said]  # pytest has taken what was logged


async def test_the_environment_is_changed_by_each_call(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ONE", "old")
    monkeypatch.setenv("TWO", "old")
    async with talking(bundle) as node:
        said = await node.invoke("changes", env={"ONE": "new"}, unset=["TWO", "NEVER"])

    assert json.loads(said["result"]) == ["new", None]


def asked(function: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    url = f"https://shop.example/api/{more.pop('path', function)}"
    about = {"function": function, "method": method, "url": url, "headers": [], "timeLeft": 20}
    return {"type": "request", "call": 1, **about, **more}


@pytest.fixture
def root_on_path(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(bundle / "app")


@pytest.mark.usefixtures("root_on_path")
async def test_a_request_is_answered_by_its_function(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("hello", "POST", hasBody=True))
        for frame in ({"type": "body", "data": "aGkg"}, {"type": "body", "data": "eW91"}):
            node.say(call=1, **frame)
        node.say(type="bodyEnd", call=1)
        heard = [await node.hear() for _ in range(4)]

    assert [each["type"] for each in heard] == ["took", "took", "head", "end"]
    assert b64decode(heard[2]["data"]) == b"hi you!"


@pytest.mark.usefixtures("root_on_path")
async def test_a_function_may_have_a_name_that_is_no_modules(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("[id]", path="7"))
        head, end = await node.hear(), await node.hear()
        node.say(**asked("[bad]", path="7"))
        bad, bad_end = await node.hear(), await node.hear()

    assert b64decode(head["data"]) == b'{"id":"7"}'
    assert (bad["status"], end, bad_end) == (500, bad_end, end)
    assert "RuntimeError: at import" in node.logs[-1]["text"]


@pytest.mark.usefixtures("root_on_path")
async def test_a_request_that_is_cut_off_spends_the_process(bundle: Path):
    async with talking(bundle) as node:
        node.say(**asked("slow", timeLeft=0.3))
        head, end = await node.hear(), await node.hear()

    assert (head["status"], end["isSpent"]) == (504, True)


def test_a_module_that_is_already_there_under_the_name_is_not_taken(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    other = bundle / "other" / "functions" / "api"
    other.mkdir(parents=True)
    (other / "hello.py").write_text("OTHER = True\n")
    monkeypatch.syspath_prepend(bundle / "other")

    module = Loader(read_manifest(bundle)).function("hello")

    assert not hasattr(module, "OTHER")


class Collecting:
    """Stands in for the site: keeps what is sent."""

    name = "netlify"

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, event: Any, *, key: str | None = None) -> None:
        self.sent.append((event.name, event.data, event.chain))


async def test_events_go_through_the_provider_with_their_chain(bundle: Path):
    source = Collecting()
    use(Default(source, Catalog()))  # type: ignore[arg-type]
    try:
        async with talking(bundle) as node:
            await node.invoke("sends", item={"eventChain": ["first", "sends"]})
    finally:
        use(None)

    assert source.sent == [("other", {"n": 1}, ("first", "sends"))]


async def test_bodies_of_unknown_calls_are_dropped(bundle: Path):
    async with talking(bundle) as node:
        node.say(type="took", call=99)
        said = await node.invoke("works")

    assert said["type"] == "completed"


async def test_a_line_that_cannot_be_read_is_told_at_once_and_costs_the_next_nothing(
    bundle: Path,
):
    deep = '{"type":"invoke","call":5,"workflow":"works","event":{"data":' + "[" * 3_000
    lines = ["", "{", "[]", '{"type":"dance","call":4}', deep + "]" * 3_000 + "}}"]
    async with talking(bundle) as node:
        node.say_text("\n".join([*lines, ""]))
        node.say(
            type="invoke", call=6, workflow="works", event={"eventName": "works", "eventId": ID}
        )
        said = [await node.hear() for _ in range(3)]

    assert [(each["call"], each["type"], each.get("final")) for each in said] == [
        (4, "failed", False),
        (5, "failed", True),
        (6, "completed", None),
    ]
    assert "nested more than" in said[1]["error"]["message"]
    assert sum("cannot be read" in each["text"] for each in node.logs) == 3


async def test_a_large_event_arrives_in_many_pieces(bundle: Path):
    async with talking(bundle) as node:
        said = await node.invoke("counts", item={"data": "é" * 1_000_000})

    assert said["result"] == "1000000"


def test_the_process_ends_when_node_has_gone(bundle: Path):
    ours, theirs = socket.socketpair()
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "from kit.deploy.function.child import main; main()"
    )
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "KIT_BUNDLE": str(bundle)},
        )
        theirs.close()
        ours.settimeout(20)
        assert json.loads(ours.makefile().readline())["pid"] == process.pid
    assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "how",
    [
        "sys.stdout.close()",
        "sys.stdout.detach()",
        "sys.stdout.buffer.close()",
        "del sys.stdout",
        "sys.stdout = None",
        "sys.stdout = open(os.devnull, 'w'); sys.stdout.close()",
        "with sys.stdout: print('within')",
        "sys.stdout.close(); sys.stderr.close()",
    ],
)
async def test_a_run_that_closes_its_output_leaves_later_ones_theirs(bundle: Path, how: str):
    async with talking(bundle) as node:
        first = await node.invoke("shuts", item={"data": f"import os\n{how}"})
        second = await node.invoke("speaks", call=2)

    said = [(each["call"], each["text"]) for each in node.logs]
    assert (first["type"], second["type"]) == ("completed", "completed")
    assert {(1, "first"), (2, "said")} <= set(said)


def test_a_manifest_is_read_with_paths_below_the_root(bundle: Path):
    manifest = read_manifest(bundle)

    assert manifest.root == bundle / "app"
    assert manifest.folder == bundle / "app" / "functions" / "workflows"
    assert manifest.workflows["works"] == "functions/workflows/works.py"
    assert manifest.functions["[id]"] == "functions/api/[id].py"


def test_a_loader_knows_what_its_bundle_has_not(bundle: Path):
    loader = Loader(read_manifest(bundle))

    with pytest.raises(WorkflowNotFoundError):
        loader.workflow("nope")
    with pytest.raises(LookupError, match="holds no HTTP function 'nope'"):
        loader.function("nope")


def test_settings_are_read_again_when_one_of_theirs_has_changed(monkeypatch: pytest.MonkeyPatch):
    source = Collecting()
    monkeypatch.setattr(os, "environ", dict(os.environ))
    try:
        use(Default(source, Catalog()))  # type: ignore[arg-type]
        environment.change({"UNRELATED": "1"}, ("NOTHING",))
        assert provider() is source
        environment.change({"WORKFLOW_BASE_URL": "https://other.example", "NETLIFY": "true"})
        assert provider() is not source
        environment.change({}, ("UNRELATED",))
        assert "UNRELATED" not in os.environ
    finally:
        use(None)


def test_lines_are_put_together_by_call_and_thread():
    said: list[tuple[str, int | None]] = []
    lines = Lines(lambda frame: said.append((frame["text"], frame["call"])), "info", 1)

    lines.write(b"one ")
    thread = threading.Thread(target=lambda: lines.write(b"other\nrest"))
    thread.start()
    thread.join()
    token = running.set((7, ID))
    lines.write(b"seven")
    running.reset(token)
    lines.write(b"line\ntwo\nthree\nfour")
    lines.finish(7)

    assert said == [("other", None), ("one line\ntwo\nthree", None), ("seven", 7)]


def test_a_line_without_an_end_is_not_waited_for_for_ever():
    said: list[str] = []
    lines = Lines(lambda frame: said.append(frame["text"]), "info", 1)

    lines.write(b"x" * 70_000)

    assert said == ["x" * 70_000]


@pytest.mark.filterwarnings("ignore")
def test_streams_behave_like_the_real_ones():
    said: list[str] = []
    Logs(lambda frame: said.append(frame["text"]))

    print("é \ud800")  # noqa: T201
    sys.stdout.write("a")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\n")
    subprocess.run([sys.executable, "-c", "pass"], stdout=sys.stdout, check=True)

    assert (sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)
    assert (sys.stdout.isatty(), sys.stdout.encoding) == (False, "utf-8")
    assert said == ["é \\ud800", "a\ufffd"]


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.CRITICAL, "error"),
        (logging.ERROR, "error"),
        (logging.WARNING, "warn"),
        (logging.INFO, "info"),
        (logging.DEBUG, "debug"),
    ],
)
def test_records_keep_their_level(level: int, name: str):
    said: list[tuple[str, str]] = []
    logs = Logs(lambda frame: said.append((frame["level"], frame["text"])))
    record = logging.LogRecord("shop", level, "", 0, "%s sold", ("one",), None)

    assert logging.lastResort is not None
    logging.lastResort.handle(record)
    logs.error("in one\n")

    assert said == [(name, "shop: one sold"), ("error", "in one")]


def test_a_record_that_does_not_fit_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    said: list[Any] = []
    Logs(said.append)

    assert logging.lastResort is not None
    logging.lastResort.handle(logging.LogRecord("shop", 40, "", 0, "%d", ("one",), None))

    assert said == []


async def test_what_was_deferred_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    from kit.client import background

    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("sent")

    background.defer(work())
    await child_module._flush(5)

    assert done == ["sent"]
