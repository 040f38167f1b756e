"""`kit send`, from outside: what goes, what is said when it does not, and never the key."""

import json
import re

import httpx
import pytest

from kit.model.event import derived_id
from kit.netlify import transport
from tests.support.listening import server

SITE = "https://site.example"
ROUTER = f"{SITE}/.netlify/functions/async-workloads-router"
KEY = "s3cret-key"
TO_SITE = ("--base-url", SITE, "--api-key", KEY)
ACK = {"x-awl-ack": "ack"}
HTML = b"<html><body>Welcome to our shop</body></html>"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(transport.time, "sleep", lambda seconds: None)


@pytest.fixture
def router(network):
    return network.post(url__startswith=ROUTER).respond(200, headers=ACK)


def page(status, *headers, body=HTML):
    head = [f"HTTP/1.1 {status}", "content-type: text/html", f"content-length: {len(body)}"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


def test_it_prints_the_id_and_says_that_the_run_is_queued(kit, router):
    said = kit("send", "publish-draft", "--data", '{"title": "x"}', *TO_SITE)

    [[sent]] = [json.loads(call.request.content) for call in router.calls]
    assert said.status == 0
    assert said.out == f"{sent['eventId']}\n"
    assert "is queued" in said.err
    assert sent["data"] == {"title": "x"}


def test_every_option_arrives(kit, router):
    said = kit(
        "send", "w", "--data", "-", "--delay", "30s", "--priority", "5", "--id", "order-7",
        "--json", *TO_SITE, stdin=b"[1]",
    )  # fmt: skip

    [sent] = json.loads(router.calls.last.request.content)
    assert said.json == {
        "eventId": derived_id("run", "w", "order-7"),
        "eventName": "w",
        "provider": "netlify",
        "status": "queued",
        "tries": 1,
    }
    assert (sent["data"], sent["priority"]) == ([1], 5)
    assert sent["delayUntil"] > 1_700_000_000_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["--delay", "30"],
        ["--priority", "51"],
        ["--id", ""],
        ["--data", "{"],
        ["--timeout", "0"],
    ],
)
def test_a_wrong_option_is_wrong_use(kit, arguments):
    assert kit("send", "w", *arguments, *TO_SITE).status == 2


def test_a_name_that_cannot_be_one_is_wrong_use(kit):
    assert kit("send", "☃", *TO_SITE).status == 2


def test_what_javascript_would_change_is_refused_with_its_path(kit):
    said = kit("send", "w", "--data", '{"a": [1, 9007199254740993]}', *TO_SITE)

    assert said.status == 1
    assert "'.a[1]' is 9007199254740993" in said.err


@pytest.mark.parametrize(
    "environ",
    [
        {"NETLIFY_LOCAL": "true", "URL": SITE, "AWL_API_KEY": KEY},
        {"NETLIFY": "true", "CONTEXT": "production", "URL": SITE, "AWL_API_KEY_P2": KEY},
        {"NETLIFY_DEV": "true", "DEPLOY_URL": SITE, "AWL_API_KEY": KEY},
    ],
)
def test_on_netlify_nothing_has_to_be_set(kit, router, monkeypatch, environ):
    monkeypatch.setattr("os.environ", environ)

    assert kit("send", "w").status == 0
    assert router.calls.last.request.headers["authorization"] == f"Bearer {KEY}"
    shown = kit("config").out
    assert f"{next(iter(environ))} is set" in shown
    assert KEY not in shown


def test_without_a_site_it_says_what_to_do_instead(kit):
    said = kit("send", "w")

    assert said.status == 1
    assert "`kit run` runs a workflow here" in said.err
    assert "WORKFLOW_BASE_URL" in said.err


def test_workflows_switched_off_are_not_sent(kit, root):
    (root / "kit.yaml").write_text("workflow: false\n")

    assert "switched off" in kit("send", "w", *TO_SITE).err


def test_a_name_this_project_lacks_is_sent_with_a_note(kit, root, router):
    (root / "functions/workflows/publish.py").write_text(
        "from kit import define_workflow\nprint('noise')\n@define_workflow\ndef publish(): pass\n"
    )
    said = kit("send", "publihs", *TO_SITE)

    assert said.status == 0
    assert "no workflow of this project is called 'publihs'; it has publish" in said.err
    assert "noise" not in said.out
    assert "note" not in kit("send", "PUBLISH", *TO_SITE).err


def failed(said, *words):
    assert said.status == 1
    assert len(said.err.strip().splitlines()) <= 10
    assert KEY not in said.err + said.out
    for each in words:
        assert each in said.err


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {"x-awl-reason": "invalid API key"}, "API key was refused"),
        (404, {}, "Install Async Workloads"),
        (413, {}, "Send less data"),
        (508, {}, "loop of requests"),
        (503, {}, "tried 4 times"),
    ],
)
def test_an_answer_that_is_no_acknowledgement_says_what_to_do(kit, network, status, headers, words):
    network.post(url__startswith=ROUTER).respond(status, headers=headers)

    failed(kit("send", "w", *TO_SITE), words)


def test_an_error_is_json_when_asked_for(kit, network):
    network.post(url__startswith=ROUTER).respond(401)
    said = kit("send", "w", "--json", *TO_SITE)

    assert said.status == 1
    assert said.json["error"]["code"] == "SEND_REJECTED"


def test_a_host_that_does_not_exist(kit, network):
    network.post(url__startswith=ROUTER).mock(side_effect=httpx.ConnectError("no such host"))

    failed(kit("send", "w", *TO_SITE), "check the host name", "tried 4 times", "not arrived")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page("200 OK"), "a page or a proxy stands in its place"),
        (page("301 Moved", "location: https://www.example/"), "redirects (301) to https://www"),
        (page("502 Bad Gateway", "retry-after: 99"), "gateway could not reach it (502)"),
        (page("500 Oops"), "Welcome to our shop"),
        (page("407 Proxy"), "it answered 407"),
        (lambda asked: page("500 Oops", body=asked), "Bearer ("),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "connection broke"),
    ],
    ids=["page", "redirect", "gateway", "error", "proxy", "echo", "ssh"],
)
def test_real_servers_that_are_no_router(kit, network, answer, words):
    network.route(host="127.0.0.1").pass_through()
    with server(answer) as origin:
        said = kit("send", "w", "--base-url", origin, "--api-key", KEY)
    failed(said, words)


def test_a_real_server_that_is_silent(kit, network):
    network.route(host="127.0.0.1").pass_through()
    with server(None) as origin:
        said = kit("send", "w", "--base-url", origin, "--api-key", KEY, "--timeout", "0.1")
    failed(said)
    # so short a time may be over before the connection is made, where the machine is busy
    assert re.search("did not answer within 0.1 seconds|connection was not made in time", said.err)


def test_a_real_server_that_acknowledges(kit, network):
    network.route(host="127.0.0.1").pass_through()
    with server(page("200 OK", "x-awl-ack: ack", body=b"ack")) as origin:
        assert kit("send", "w", "--base-url", f"{origin}/x/?y#z", "--api-key", KEY).status == 0


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://me:hunter2@site.example", "user name or password"),
        ("http://site.example", "plain http"),
        ("site.example", "did you mean 'https://site.example'"),
        ("https://", "names no host"),
        ("", "empty"),
    ],
)
def test_an_address_that_cannot_be_used(kit, address, words):
    said = kit("send", "w", "--base-url", address, "--api-key", KEY)

    failed(said, words)
    assert "hunter2" not in said.err


@pytest.mark.parametrize("address", [f"{SITE}/", f"{SITE}/a/b", "HTTPS://SITE.example:443/"])
def test_an_address_that_is_taken_for_its_origin(kit, router, address):
    assert kit("send", "w", "--base-url", address, "--api-key", KEY).status == 0


def test_a_key_that_cannot_be_sent_is_not_shown(kit):
    failed(kit("send", "w", "--base-url", SITE, "--api-key", f"{KEY} x"), "copy the key again")
