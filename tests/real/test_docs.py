"""Every code block of the README and the docs: run in a new project, or read as what it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from kit.project.config import load
from kit.project.scaffold import init

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])
TEMPLATES = ROOT / "kit" / "templates" / "init"
SITE = re.compile(r"https://my-(site|workflows)\.netlify\.app|http://127\.0\.0\.1:8888(?!/_kit)")

GIVEN = {
    "django": """
import sys, types
django, conf = types.ModuleType("django"), types.ModuleType("django.conf")
conf.settings = types.SimpleNamespace(WORKFLOW_BASE_URL=SITE, WORKFLOW_API_KEY="k")
apps = types.ModuleType("django.apps")
apps.AppConfig = object
sys.modules |= {"django": django, "django.conf": conf, "django.apps": apps}
transaction = types.SimpleNamespace(on_commit=lambda act: act())
draft = types.SimpleNamespace(pk=7)
""",
    "fastapi": """
import sys, types
from starlette.applications import Starlette
class FastAPI(Starlette):
    def post(self, path):
        return lambda handler: handler
fastapi = sys.modules["fastapi"] = types.ModuleType("fastapi")
fastapi.FastAPI = FastAPI
""",
    "new-thing": """
import types
async def run(id, function):
    return function()
context = types.SimpleNamespace(step=types.SimpleNamespace(run=run))
def new_thing(): ...
""",
}
"""What stands around a block, by a word in it."""

RUN = """
import ast, asyncio, inspect, json, sys
given, source, name, site = json.load(sys.stdin)
names = {"__name__": "__main__", "SITE": site}
exec(given, names)
code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, names)
if inspect.iscoroutine(result):
    asyncio.run(result)
"""

KIT = """\
#!{python}
# `kit`, which does not wait, nor build, says yes, and knows which id is meant
import json, runpy, subprocess, sys
kit, args = [sys.executable, "-m", "kit.cli"], sys.argv[1:]
if args[0] in ("build", "doctor"):
    args.append("--help")  # the options are looked at, no more
if args[0] == "run" or args[:2] == ["runs", "resume"]:
    args += [] if "--fast" in args else ["--fast"]
if args[:2] == ["events", "delete"]:
    args.append("--yes")
if "ID" in args and args[0] == "events":
    args[args.index("ID")] = "00000000-0000-4000-8000-000000000000"
elif "ID" in args:
    listed = subprocess.run([*kit, "runs", "--json"], capture_output=True, check=True).stdout
    args[args.index("ID")] = json.loads(listed)[0]["id"]
sys.argv = ["kit", *args]
runpy.run_module(kit[-1], run_name="__main__", alter_sys=True)
"""
STUBS = {
    "make": "",
    "npm": "",
    "git": "",
    "pip": "",
    "python3": "mkdir -p .venv/bin && touch .venv/bin/activate",
    "pytest": f'exec "{sys.executable}" -m pytest -q -p no:cacheprovider',
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line it begins at, its language, its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    name = page.relative_to(ROOT).as_posix()
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            assert token.map is not None
            yield Block(name, token.map[0] + 1, token.info.strip(), token.content)


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=str)


PYTEST_ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""A user's project has pytest without the plugins that are installed here."""

SEEN = {
    "id": "5f0c0000-0000-4000-8000-000000000000",
    "workflow": "publish-draft",
    "status": "completed",
    "attempt": 0,
    "createdAt": 1_764_154_800_000,
    "startedAt": 1_764_154_800_000,
    "endedAt": 1_764_154_801_000,
    "dueAt": None,
    "priority": 0,
    "error": None,
}


class _Site(BaseHTTPRequestHandler):
    """Acknowledges whatever comes, as Async Workloads does; its runs API knows one run."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self._answer({"workloadResult": {"sendStatus": "succeeded", "eventId": "e"}})

    def do_GET(self) -> None:
        page = {"runs": [SEEN], "next": None}
        run = {**SEEN, "data": {}, "result": {}, "steps": [], "attempts": []}
        is_list = self.path.partition("?")[0].endswith("/kit-runs")
        if not is_list and str(SEEN["id"]) not in self.path and "kit-runs" in self.path:
            self._answer({"error": {"code": "RUN_NOT_FOUND", "message": "no such run"}}, 404)
        else:
            self._answer(page if is_list else run)

    def _answer(self, body: object, status: int = 200) -> None:
        answer = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("x-awl-ack", "ack")
        self.send_header("x-kit-runs", "1")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_DELETE = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module", name="site")
def _site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    """What `kit init` writes, with a sleep that is over at once."""
    root = tmp_path / "project"
    init(root)
    workflow = root / "functions/workflows/publish_draft.py"
    workflow.write_text(workflow.read_text().replace('"30 seconds"', "0.01"))
    return root


def environ(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **own, **PYTEST_ALONE, **more}


def settings(block: Block, site: str) -> dict[str, str]:
    """The page on sending has them set in its first block."""
    is_elsewhere = block.page == "docs/sending.md"
    return {"WORKFLOW_BASE_URL": site, "WORKFLOW_API_KEY": "k"} if is_elsewhere else {}


def run(command: list[str], folder: Path, given: str, env: dict[str, str]) -> None:
    done = subprocess.run(
        command, input=given, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_docs_have_blocks_of_every_kind() -> None:
    assert {block.language for block in BLOCKS} == {"", "json", "python", "sh", "toml", "yaml"}


@of("python")
def test_python_runs_in_a_new_project(
    block: Block, tmp_path: Path, project: Path, site: str
) -> None:
    if "def test_" in block.text:
        init(tmp_path / "as-it-is")
        (tmp_path / "as-it-is/tests/test_block.py").write_text(block.text)
        pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        run([*pytest_, "tests/test_block.py"], tmp_path / "as-it-is", "", environ())
        return
    given = next((text for word, text in GIVEN.items() if word in block.text), "")
    source = SITE.sub(site, block.text)
    stdin = json.dumps([given, source, str(block), site])
    run([sys.executable, "-c", RUN], project, stdin, environ(**settings(block, site)))


@of("sh")
def test_commands_are_what_they_seem(
    block: Block, tmp_path: Path, project: Path, site: str
) -> None:
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for name, script in STUBS.items():
        (stubs / name).write_text(f"#!/bin/sh\n{script}\n")
    (stubs / "kit").write_text(KIT.format(python=sys.executable))
    for stub in stubs.iterdir():
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    folder = tmp_path if "kit init" in block.text else project

    text = SITE.sub(site, block.text)
    path = f"{stubs}{os.pathsep}{os.environ['PATH']}"
    env = {**environ(**settings(block, site)), "PATH": path}
    run(["bash", "-euo", "pipefail", "-c", text], folder, "", env)


@of("")
def test_commands_in_what_a_terminal_shows_are_understood(block: Block) -> None:
    for line in block.text.splitlines():
        command = re.search(r"(?:^\$|\s) kit (.*)", line)
        if command and not line.startswith("error:"):
            arguments = shlex.split(command[1], comments=True)
            run([sys.executable, "-m", "kit.cli", *arguments, "--help"], ROOT, "", environ())


@of("json")
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@of("yaml", "toml")
def test_settings_load(block: Block, tmp_path: Path) -> None:
    if block.language == "toml":
        tomllib.loads(block.text)
    name = "kit.yaml" if block.language == "yaml" else "pyproject.toml"
    (tmp_path / name).write_text(block.text)

    assert load(tmp_path, environ={}).file == tmp_path / name


@pytest.mark.parametrize(
    ("template", "page"),
    [("publish_draft.py.txt", "README.md"), ("test_publish_draft.py.txt", "docs/testing.md")],
)
def test_there_is_one_example(template: str, page: str) -> None:
    text = (TEMPLATES / template).read_text()

    assert text in [block.text for block in BLOCKS if block.page == page]
