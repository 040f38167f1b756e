"""The project's own addresses: functions, and files."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.dev.local import LocalRuns
from kit.dev.project import DevProject
from kit.dev.publish import find_file, publish_folder
from kit.model.errors import ConfigError

from .conftest import Write, ended

METHODS = """
from kit import run_workflow, sync

async def post(request):
    run = await run_workflow("hello", (await request.json())["title"])
    return {"eventId": run.id, "provider": run.provider}

def put(request):
    run = sync.run_workflow("hello", "plain")
    return {"eventId": run.id, "result": run.result(timeout=50)}

def get():
    return "text"

def delete():
    raise RuntimeError("secret inside")
"""
APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["began"] = "yes"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("stopped")
        await send({"type": "lifespan.shutdown.complete"})
        return
    inside = scope["path"].removeprefix(scope["root_path"])
    text = f"{scope['root_path']} {inside} {scope['state']['began']}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""


@pytest.fixture
def functions(project: DevProject, write: Write) -> DevProject:
    write("functions/api/publish.py", METHODS)
    write("functions/api/_helper.py", "raise SystemExit")
    write("functions/api/users/[id].py", "def get(request): return request.path_params\n")
    write("functions/api/users/me.py", "def get(): return 'me'\n")
    write("functions/api/whole.py", APP)
    write("functions/api/broken.py", "1 / 0\n")
    write("functions/api/bad name.py", "")
    project.functions.look()
    return project


@pytest.mark.usefixtures("functions")
async def test_a_function_starts_a_run_of_this_server(
    site: httpx.AsyncClient, runs: LocalRuns
) -> None:
    answer = await site.post("/api/publish", json={"title": "x"})
    assert answer.json()["provider"] == "local"
    assert (await ended(runs, answer.json()["eventId"])).result == '"hello x"'


@pytest.mark.usefixtures("functions", "runs")
async def test_a_plain_function_waits_for_a_run(site: httpx.AsyncClient) -> None:
    answer = await site.put("/api/publish")
    assert answer.json()["result"] == "hello plain"


@pytest.mark.usefixtures("functions")
async def test_functions_answer_at_their_paths(site: httpx.AsyncClient) -> None:
    assert (await site.get("/api/publish")).text == "text"
    assert (await site.get("/api/publish/")).text == "text"
    assert (await site.get("/api/users/7%20x")).json() == {"id": "7 x"}
    assert (await site.get("/api/users/me")).text == "me"
    assert (await site.get("/api/whole?x=1")).text == "/api/whole / yes"
    assert (await site.patch("/api/publish")).status_code == 405
    assert (await site.get("/api/users")).status_code == 404
    assert (await site.get("/api/publish/more")).status_code == 404


async def test_an_application_is_stopped_when_it_is_replaced(
    site: httpx.AsyncClient, functions: DevProject, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.get("/api/whole")
    await functions.saved({functions.root / "functions/api/whole.py"})
    assert capsys.readouterr().out == "stopped\n"
    assert (await site.get("/api/whole")).text == "/api/whole / yes"


async def test_an_application_that_does_not_start_says_so(
    site: httpx.AsyncClient, functions: DevProject, write: Write, told: list[str]
) -> None:
    write("functions/api/late.py", APP.replace("startup.complete", "startup.failed"))
    functions.functions.look()
    assert (await site.get("/api/late")).status_code == 500
    assert "the application did not start" in told[-1]


@pytest.mark.usefixtures("functions")
async def test_what_goes_wrong_is_told_here_and_not_to_the_client(
    site: httpx.AsyncClient, told: list[str]
) -> None:
    answer = await site.delete("/api/publish")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert "RuntimeError: secret inside" in told[-1]
    assert (await site.get("/api/broken")).status_code == 500
    assert "ZeroDivisionError" in told[-1]
    assert any("bad name.py" in line for line in told)


async def test_a_function_that_breaks_keeps_answering_as_it_last_could(
    site: httpx.AsyncClient, functions: DevProject, write: Write, told: list[str]
) -> None:
    assert (await site.get("/api/users/me")).text == "me"
    for text, answer in (("def get(", "me"), ("def get(): return 'you'\n", "you")):
        file = write("functions/api/users/me.py", text)
        await functions.saved({file})
        assert (await site.get("/api/users/me")).text == answer
    assert any("SyntaxError" in line for line in told)


@pytest.mark.usefixtures("functions")
async def test_functions_say_where_they_answer(site: httpx.AsyncClient) -> None:
    answer = await site.get("/.netlify/functions/kit-api-publish")
    assert answer.status_code == 404
    assert "functions/api/publish.py answers at /api/publish" in answer.text
    answer = await site.get("/.netlify/functions/other")
    assert "Function not found" in answer.text


@pytest.fixture
def published(project: DevProject, write: Write) -> Path:
    write("netlify.toml", '[build]\npublish = "public"\n')
    for path in ("index.html", "about.html", "docs/index.html", "data.json", ".well-known/x"):
        write(f"public/{path}", path)
    write("public/.env", "secret")
    write("kit.yaml", "workflow:\n")
    (project.root / "public/out").symlink_to(project.root)
    project.folder = publish_folder(project.root)
    assert project.folder is not None
    return project.folder


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "index.html"),
        ("/about", "about.html"),
        ("/about.html", "about.html"),
        ("/docs", "docs/index.html"),
        ("/docs/", "docs/index.html"),
        ("/data.json", "data.json"),
        ("/.well-known/x", ".well-known/x"),
    ],
)
@pytest.mark.usefixtures("published")
async def test_files_are_served_as_netlify_does(
    site: httpx.AsyncClient, path: str, text: str
) -> None:
    answer = await site.get(path)
    assert (answer.status_code, answer.text) == (200, text)


@pytest.mark.parametrize(
    "path", ["/.env", "/out/kit.yaml", "/nothing", "/data.json/", "/" + "x" * 300, "/docs/x"]
)
async def test_what_is_not_published_is_not_found(
    site: httpx.AsyncClient, published: Path, path: str
) -> None:
    assert (await site.get(path)).status_code == 404
    (published / "404.html").write_text("lost")
    answer = await site.get(path)
    assert (answer.status_code, answer.text) == (404, "lost")


@pytest.mark.usefixtures("published")
async def test_files_are_only_read(site: httpx.AsyncClient) -> None:
    assert (await site.post("/")).status_code == 405
    assert (await site.head("/")).status_code == 200


async def test_without_files_the_root_says_where_to_look(site: httpx.AsyncClient) -> None:
    answer = await site.get("/")
    assert answer.status_code == 404
    assert "/_kit/" in answer.text


@pytest.mark.parametrize("path", ["../x", "/../x", "a/../../x"])
def test_no_way_leads_up(published: Path, path: str) -> None:
    (published.parent / "x").write_text("outside")
    assert find_file(published, path) is None


@pytest.mark.parametrize("toml", ["x = ", '[build]\npublish = "../other"\n'])
def test_a_publish_folder_that_cannot_be_says_so(root: Path, toml: str) -> None:
    (root / "netlify.toml").write_text(toml)
    with pytest.raises(ConfigError, match=r"netlify\.toml"):
        publish_folder(root)


@pytest.mark.parametrize("toml", ["", "build = 1", "[build]\npublish = 1", '[build]\npublish="/"'])
def test_without_a_publish_folder_nothing_is_published(root: Path, toml: Any) -> None:
    (root / "netlify.toml").write_text(toml)
    assert publish_folder(root) is None
