"""`kit dev` as it is typed; what it serves is tried in tests/dev and tests/real."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.dev import server
from kit.dev.dashboard import routes as dashboard

_Ending = server.Ending
Kit = Callable[..., Any]
ECHO = "from kit import define_workflow\n\n@define_workflow\ndef echo(input): return input\n"


@pytest.fixture(autouse=True)
def _ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Ctrl-C was pressed when it answers."""

    class Ended(server.Ending):
        def here(self) -> asyncio.Event:
            ended = super().here()
            ended.set()
            return ended

    monkeypatch.setattr(server, "Ending", Ended)


def workflow(root: Path, name: str, text: str) -> None:
    (root / "functions/workflows" / f"{name}.py").write_text(text)


def test_it_says_what_it_found_and_where(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    workflow(root, "broken", "raise ValueError('\\x1b[2J')\n")
    (root / "functions/api").mkdir()
    (root / "functions/api/publish.py").write_text("def get(): return 1\n")
    (root / "netlify.toml").write_text('[build]\npublish = "public"\n')
    for terminal in (False, True):
        said = kit("dev", "--port", "0", terminal=terminal)
        assert (said.status, said.out) == (0, "")
        for part in (
            "/_kit/",
            "/api/publish",
            "echo",
            "functions/workflows/broken.py",
            "files of public",
            ".kit/runs.db",
            r"ValueError: \x1b[2J",
            "unfinished runs are kept",
        ):
            assert part in said.err


def test_json_is_one_line_about_what_is_served(root: Path, kit: Kit) -> None:
    workflow(root, "echo", ECHO)
    ready = kit("dev", "--port", "0", "--json").json
    assert ready["dashboard"] == f"{ready['url']}/_kit/"
    assert ready["url"].startswith("http://127.0.0.1:")
    assert ready["workflows"] == [
        {"name": "echo", "path": "functions/workflows/echo.py", "error": None}
    ]
    assert ready["functions"] == []


def test_an_empty_project_is_served_too(root: Path, kit: Kit) -> None:
    assert "none in functions/workflows yet" in kit("dev", "--port", "0").err


def test_the_page_is_opened_when_asked_for(
    root: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    kit("dev", "--port", "0")
    kit("dev", "--port", "0", "--open")
    assert [url.rpartition("/_kit")[2] for url in opened] == ["/"]


def test_a_port_in_use_is_an_error_with_another_one(root: Path, kit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = kit("dev", "--port", str(taken.getsockname()[1]), "--json")
    assert said.status == 1
    assert said.json["error"]["code"] == "PORT_IN_USE"


def test_without_workflows_there_is_nothing_to_serve(root: Path, kit: Kit) -> None:
    (root / "kit.yaml").write_text("workflow: false\n")
    said = kit("dev")
    assert said.status == 1
    assert "switched off" in said.err


def test_a_deployed_site_is_shown_and_its_key_is_not(
    root: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "", "TERM": "x", "WORKFLOW_API_KEY": "s3cret-key"})
    said = kit("dev", "--remote", "https://site.example/some/path", "--port", "0")
    assert said.status == 0
    assert "of https://site.example" in said.err
    ready = kit("dev", "--remote", "https://site.example", "--port", "0", "--json")
    assert ready.json["site"] == "https://site.example"
    assert "s3cret-key" not in said.err + ready.out + ready.err
    assert kit("dev", "--remote", "http://site.example").status == 1  # the key would be readable


def test_the_dashboard_is_mounted_with_a_token_of_its_own(
    root: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str] = []

    def routes(runs: Any, *, token: str, project: str) -> list[Any]:
        tokens.append(token)
        return []

    monkeypatch.setattr("kit.dev.serving.routes", routes)
    assert dashboard.routes is not routes
    for _ in range(2):
        kit("dev", "--port", "0")
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) > 30


def test_it_starts_again_at_its_port_when_packages_change(
    root: Path, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = root / ".venv/lib"
    packages.mkdir(parents=True)
    started: list[list[str]] = []
    monkeypatch.setattr("kit.dev.serving.INSTALLED_SECONDS", 0.01)
    monkeypatch.setattr("kit.dev.serving.package_folders", lambda: [packages])
    monkeypatch.setattr("kit.cli.commands.dev._print", lambda _: (packages / "x.dist-info").mkdir())
    monkeypatch.setattr("kit.dev.server.Ending", _Ending)
    monkeypatch.setattr("sys.orig_argv", ["python", "-m", "kit.cli", "dev", "--open"])
    monkeypatch.setattr("os.execv", lambda _, arguments: started.append(arguments))
    said = kit("dev", "--port", "0")
    assert "packages have changed (x): starting again" in said.err
    [[_, *arguments]] = started
    assert arguments[:4] == ["-m", "kit.cli", "dev", "--port"]
    assert int(arguments[4]) > 0
