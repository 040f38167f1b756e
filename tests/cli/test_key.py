"""The key, whichever way it was given: no frame on the way of a command's error holds it."""

import json
import socket
import sys
from functools import partial

import httpx
import pytest

from kit.cli import app
from kit.netlify.site import Site
from tests.support.variables import chain, count_frames, where_is

KEY = "s3cret-key-of-the-site"
SITE = "https://site.example"
ROUTER = "/.netlify/functions/async-workloads-router"
ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


def error_of(monkeypatch, *arguments):
    """Run the command, and return what ends it, with all that led to it."""
    monkeypatch.setattr(sys, "argv", ["kit", *arguments])
    with pytest.raises(SystemExit) as exited:
        app.run()
    return exited.value


@pytest.fixture
def refused_port():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def given(way, root, environ):
    """Give the key in one of the ways there are; return what is to be added to the command."""
    if way == "option":
        return ["--api-key", KEY]
    if way == "option=":
        return [f"--api-key={KEY}"]
    if way == "file":
        (root / "kit.yaml").write_text(f"workflow:\n  apiKey: {KEY}\n")
    elif way == ".env":
        (root / ".env").write_text(f"WORKFLOW_API_KEY={KEY}\n")
    else:
        environ[way] = KEY
    return []


WAYS = ["option", "option=", "file", ".env", "WORKFLOW_API_KEY", "AWL_API_KEY_P1"]
MISTAKES = {
    "no site": ["send", "w"],
    "an address that cannot be used": ["send", "w", "--base-url", "http://site.example"],
    "an address that is none": ["send", "w", "--base-url", "site"],
    "a delay without a unit": ["send", "w", "--base-url", SITE, "--delay", "5"],
    "a priority too high": ["send", "w", "--base-url", SITE, "--priority", "51"],
    "data that is none": ["send", "w", "--base-url", SITE, "--data", "{"],
    "data that does not travel": ["send", "w", "--base-url", SITE, "--data", f"[{2**60}]"],
    "a name that is none": ["send", "☃", "--base-url", SITE],
    "an unknown option": ["send", "w", "--base-url", SITE, "--nonsense"],
    "a refusal": ["send", "w", "--base-url", SITE],
    "nothing chosen": ["events", "delete", "--base-url", SITE],
    "an event that is none": ["events", "delete", "xyz", "--base-url", SITE],
    "a retry that is refused": ["events", "retry", ID, "--base-url", SITE],
    "a deletion that is refused": ["events", "delete", ID, "--base-url", SITE],
}


@pytest.mark.parametrize("way", WAYS)
def test_no_frame_of_an_error_holds_the_key(root, network, monkeypatch, way):
    environ = {"PATH": "", "TERM": "xterm"}
    monkeypatch.setattr("os.environ", environ)
    added = given(way, root, environ)
    network.route(host="site.example").respond(401, headers={"x-awl-reason": "invalid API key"})
    for what, command in list(MISTAKES.items())[:: 1 if way == "option" else 3]:
        error = error_of(monkeypatch, *command, *added)
        assert error.code in (1, 2), what
        assert len(list(chain(error))) > 1, what
        assert where_is(KEY, error) == [], what


WRONG = [
    "workflow:\n  store: awll\n  apiKey: {key}\n",
    "workflow:\n  apiKey: '{key}\n",
    "workflow:\n\tapiKey: {key}\n",
    "workflow:\n  apiKey: !!float {key}\n",
    "workflow:\n  apiKey: [{key}]\n",
    "workflow:\n  apikey: {key}\n",
    "apiKey: {key}\n",
    "workflow:\n  apiKey: {key}\n  apiKey: {key}\n",
    "workflow: {key}\n",
    "{key}\n",
]
"""Of `kit.yaml`, with the key in it."""


@pytest.mark.parametrize(
    "command",
    [["config"], ["schema", "--check"], ["run", "w"], ["build"]],
    ids=" ".join,
)
def test_no_frame_of_an_error_in_the_settings_holds_it(root, monkeypatch, command):
    monkeypatch.setattr("os.environ", {"PATH": "", "TERM": "xterm", "WORKFLOW_API_KEY": KEY})
    (root / ".env").write_text(f"WORKFLOW_API_KEY={KEY}\n")
    for text in WRONG:
        (root / "kit.yaml").write_text(text.replace("{key}", KEY))
        error = error_of(monkeypatch, *command)

        assert error.code == 1
        assert where_is(KEY, error) == []
        assert command[0] == "schema" or count_frames(error) > 2


@pytest.mark.parametrize("way", ["option"])
def test_nor_one_of_a_site_that_refuses_connections(root, network, monkeypatch, way, refused_port):
    network.route(host="127.0.0.1").pass_through()

    environ = {"PATH": "", "TERM": "xterm"}
    monkeypatch.setattr("os.environ", environ)
    added = given(way, root, environ)
    error = error_of(monkeypatch, "send", "w", "--base-url", refused_port, *added)

    assert where_is(KEY, error) == []


def test_nor_one_of_the_commands_about_a_sites_runs(root, network, monkeypatch):
    environ = {"PATH": "", "WORKFLOW_BASE_URL": SITE, "WORKFLOW_API_KEY": KEY}
    monkeypatch.setattr("os.environ", environ)
    route = network.route(host="site.example")
    answers = [
        httpx.Response(401, headers={"x-kit-runs": "1"}, json={"error": {"code": "UNAUTHORIZED"}}),
        httpx.Response(404, text=f"no page, {KEY}"),
        httpx.Response(500, text=KEY),
    ]
    for answer in answers:
        route.mock(return_value=answer)
        for command in ([], ["show", ID], ["result", ID], ["stop", ID], ["retry", ID]):
            error = error_of(monkeypatch, "runs", *command)
            assert where_is(KEY, error) == []


def test_the_key_stays_out_of_what_is_known_of_the_command(root, monkeypatch):
    error_of(monkeypatch, "send", "w", "--api-key", KEY)
    assert KEY not in sys.argv
    error_of(monkeypatch, "send", "w", f"--api-key={KEY}")
    assert KEY not in str(sys.argv)


def test_the_last_of_two_keys_counts(root, network, monkeypatch):
    route = network.post(url__startswith=f"{SITE}{ROUTER}").respond(200, headers={"x-awl-ack": "a"})
    error = error_of(
        monkeypatch, "send", "w", "--base-url", SITE, "--api-key", "first", f"--api-key={KEY}"
    )
    assert not error.code
    assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "holder", [KEY, {"a": [KEY]}, [f"Bearer {KEY}".encode()], partial(str, KEY), Site("", KEY)]
)
def test_what_is_looked_for_is_found(holder):
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{", parse_constant=holder)
    assert where_is(KEY, caught.value)


def test_nor_does_one_of_a_build_or_a_run(root, monkeypatch):
    (root / "functions/workflows/broken.py").write_text("raise ZeroDivisionError")
    (root / "functions/workflows/w.py").write_text(
        "from kit import define_workflow\n"
        "@define_workflow(max_retries=0)\ndef w():\n    raise ZeroDivisionError\n"
    )
    (root / ".env").write_text(f"WORKFLOW_API_KEY={KEY}\n")
    monkeypatch.setattr("os.environ", {"PATH": "", "TERM": "xterm", "AWL_API_KEY": KEY})
    for command in (["build"], ["run", "broken"], ["run", "w"], ["run", "nobody"], ["list"]):
        error = error_of(monkeypatch, *command)
        assert error.code
        assert where_is(KEY, error) == []
