"""
A project as it runs once deployed: built, zipped by Netlify's bundler, started as Lambda does.

`boot/` says how. The project is made by `kit init`, with a few functions more; it needs pydantic, a
package with C libraries of its own and a module of its own, and is built once.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import respx

from tests.real import boot
from tests.real.deployed.conftest import MakeBooted
from tests.real.deployed.project import BUILD_KEY, KEY
from tests.support.listening import server

needs_walls = pytest.mark.skipif(bool(boot.why_not_isolated()), reason=boot.why_not_isolated())


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
