"""What `kit doctor` finds, check by check."""

import json
import stat

import httpx
import pytest

from kit.client.doctor import (
    Check,
    check_building,
    examine,
)
from kit.project.config import load

SITE = "https://site.example"
FUNCTIONS = f"{SITE}/.netlify/functions"
KEY = "s3cret-key"
ENVIRON = {"WORKFLOW_BASE_URL": SITE, "WORKFLOW_API_KEY": KEY}
EMPTY = {"x-awl-reason": "body contained no valid events to process"}
BODYLESS = {"x-awl-reason": "missing valid JSON body"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def site(network):
    """A site as it should be."""
    network.get(f"{SITE}/").respond(200)
    router = network.post(url__startswith=f"{FUNCTIONS}/async-workloads-router")
    router.respond(400, headers=EMPTY)
    management = network.post(f"{FUNCTIONS}/async-workloads-api/failed-events")
    management.respond(400, headers=BODYLESS)
    runs = network.get(url__startswith=f"{FUNCTIONS}/kit-runs")
    runs.respond(200, headers={"x-kit-runs": "1"}, json={"runs": [], "next": None})
    return router, management


def found(root, environ=ENVIRON, **more):
    checks = {each.name: each for each in examine(root, environ=environ, **more)}
    assert KEY not in str(checks)
    assert all(each.ok is not False or each.todo for each in checks.values())
    return checks


def program(root, name, says):
    path = root / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_a_site_as_it_should_be_is_well_and_no_event_is_sent(root, site):
    checks = found(root)

    assert {name: each.ok for name, each in checks.items()} == {
        "settings": True,
        "provider": True,
        "base URL": True,
        "API key": True,
        "workflows": None,
        "building": None,
        "site": True,
        "router": True,
        "key accepted": True,
        "management API": True,
        "runs API": True,
    }
    assert checks["base URL"].why == f"{SITE} (environment WORKFLOW_BASE_URL)"
    assert checks["API key"].why == "set (environment WORKFLOW_API_KEY)"
    router, management = site
    assert json.loads(router.calls.last.request.content) == []
    assert management.calls.last.request.content == b""


def test_the_key_is_not_sent_to_the_front_page(root, network, site):
    found(root)

    assert "authorization" not in network.calls[0].request.headers


def test_wrong_settings_are_the_first_thing_to_correct(root):
    (root / "kit.yaml").write_text("workflow: {stroe: awl}\n")

    [(name, check)] = found(root).items()
    assert name == "settings"
    assert check.ok is False
    assert "Did you mean store?" in check.why


def test_workflows_switched_off_are_not_well(root):
    (root / "kit.yaml").write_text("workflow: false\n")

    assert "switched off" in found(root)["settings"].why


def test_locally_no_site_is_needed(root):
    checks = found(root, {})

    assert checks["provider"].why == "local (default)"
    assert checks["site"].ok is None
    assert "base URL" not in checks


def test_without_an_address_the_provider_netlify_is_not_well(root):
    checks = found(root, {"WORKFLOW_PROVIDER": "netlify"})

    assert checks["base URL"].ok is False
    assert checks["site"].ok is None


def test_without_a_key_it_says_which_variable_to_set(root, network):
    network.get(f"{SITE}/").mock(side_effect=httpx.ConnectError("x"))
    checks = found(root, {"WORKFLOW_BASE_URL": SITE})

    assert checks["API key"].ok is False
    assert "WORKFLOW_API_KEY" in checks["API key"].todo


def test_options_overrule_a_file_that_says_local(root, site):
    (root / "kit.yaml").write_text("workflow: {provider: local}\n")
    checks = found(root, {}, base_url=SITE, api_key=KEY)

    assert checks["key accepted"].ok
    assert checks["base URL"].why == f"{SITE} (argument base_url)"


def test_a_site_that_cannot_be_reached_is_asked_once(root, network):
    route = network.get(f"{SITE}/").mock(side_effect=httpx.ConnectError("no such host"))
    checks = found(root)

    assert checks["site"].ok is False
    assert "no such host" in checks["site"].why
    assert "router" not in checks
    assert route.call_count == 1


def test_workflow_files_must_import(root):
    folder = root / "functions/workflows"
    folder.mkdir(parents=True)
    (folder / "good.py").write_text(
        "from kit import define_workflow\n@define_workflow\ndef good(): pass\n"
    )
    assert found(root, {})["workflows"] == Check("workflows", True, "good")

    (folder / "bad.py").write_text("1 / 0\n")
    check = found(root, {})["workflows"]
    assert check.ok is False
    assert check.why == "cannot be used: functions/workflows/bad.py"


def building(root):
    return {each.name: each for each in check_building(root)}


def test_what_building_needs_is_looked_for_in_a_project_with_a_site(root):
    (root / "netlify.toml").write_text("")
    checks = building(root)

    assert checks["Node"].ok is False
    assert checks["npm package @netlify/async-workloads"].todo.startswith("npm install")


@pytest.mark.parametrize(
    ("says", "ok"),
    [("echo v22.1.0", True), ("echo v18.0.0", False), ("echo hello", False), ("exit 1", False)],
)
def test_node_must_be_recent(root, says, ok):
    (root / "netlify.toml").write_text("")
    program(root, "npm", "")
    program(root, "node", says)

    check = building(root)["Node"]
    assert check.ok is ok
    assert ("install Node 20" in check.todo) is not ok


def test_the_npm_package_is_found(root):
    (root / "netlify.toml").write_text("")
    folder = root / "node_modules/@netlify/async-workloads"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"version": "0.0.97"}')

    check = building(root)["npm package @netlify/async-workloads"]
    assert (check.ok, check.why) == (True, "0.0.97")


def test_settings_files_are_named(root):
    (root / "kit.yaml").write_text("workflow: {provider: local}\n")

    assert found(root, {})["settings"].why == str(load(root, environ={}).file)


def trial(verdict, *oks):
    checks = [{"name": f"check {n}", "ok": ok, "why": "so"} for n, ok in enumerate(oks)]
    return {"verdict": verdict, "checks": checks, "writers": 8, "took": 900}


@pytest.mark.parametrize(
    ("answer", "oks", "said"),
    [
        (trial("kept", True, True), [True, True, True], "kept (tried by 8 writers, in 900 ms)"),
        (trial("broken", True, False), [True, False, False], "broken"),
        (trial("undecided", True, None), [True, None, None], "undecided"),
    ],
)
def test_the_store_is_tried_where_that_is_asked_for(root, site, network, answer, oks, said):
    url = f"{FUNCTIONS}/kit-runs/try-store"
    route = network.post(url).respond(200, headers={"x-kit-runs": "1"}, json=answer)

    assert not any(name.startswith("store") for name in found(root))
    assert route.call_count == 0
    checks = found(root, try_store=True)
    tried = [each for name, each in checks.items() if name.startswith("store: ")]
    assert [each.ok for each in tried] == oks
    assert said in tried[-1].why


def test_a_site_that_cannot_try_it_is_to_be_deployed_again(root, site, network):
    error = {"error": {"code": "INVALID_ID", "message": "the id of a run is a version-4 UUID"}}
    url = f"{FUNCTIONS}/kit-runs/try-store"
    network.post(url).respond(400, headers={"x-kit-runs": "1"}, json=error)

    check = found(root, try_store=True)["store: conditional writes"]
    assert (check.ok, "deploy the site" in check.todo) == (False, True)
    assert found(root, {}, try_store=True)["store: conditional writes"].ok is False


def test_kit_dev_has_no_store_to_be_tried(root, site, network):
    error = {
        "error": {"code": "NOT_SUPPORTED_STORE", "message": "kit dev keeps its runs in SQLite"}
    }
    url = f"{FUNCTIONS}/kit-runs/try-store"
    network.post(url).respond(501, headers={"x-kit-runs": "1"}, json=error)

    check = found(root, try_store=True)["store: conditional writes"]
    assert (check.ok, check.why) == (None, "kit dev keeps its runs in SQLite")
