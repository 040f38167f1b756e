"""What runs with a record are not made for, and bear all the same."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.records.conftest import MakeSite
from tests.real.records.site import FN, PROJECT, STEPS, Site, lay_out, until

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig


@pytest.mark.parametrize(("count", "size"), [(4, 2_000_000), (400, 300)])
def test_large_values_and_many_at_once_are_kept_apart_from_the_record(
    site: Site, count: int, size: int
):
    run = site.run("wide", {"count": count, "size": size}, waits=(601,))

    assert (run["status"], run["attempts"]) == ("completed", [])
    assert len(run["result"]) > count * size
    assert max(each["bytes"] for each in site.writes()) < 100_000
    status, told = site.ask("DELETE", f"/{run['id']}")
    assert (status, told) == (200, {"deleted": [run["id"]]})
    left = [each["key"] for each in site.rig.blobs()["kit-runs"]]
    assert sorted(key.split("/")[0] for key in left) == ["index", "runs"]  # of the tombstone


def test_two_who_send_one_id_with_other_data_start_the_run_of_one_of_them(make_site: MakeSite):
    site = make_site("one")
    event_id = str(uuid.uuid4())
    events = [
        {"eventName": "ten", "eventId": event_id, "data": {"from": each}, "eventChain": ["ten"]}
        for each in ("one", "two")
    ]
    path = '/.netlify/functions/async-workloads-router?events=["ten"]'

    site.rig.ask("POST", path, events, key=site.rig.key)
    site.rest()
    site.wake(60)

    [run] = site.list("")
    assert site.show(run["id"])["data"]["from"] in ("one", "two")
    assert (run["status"], site.did()) == ("completed", STEPS)


def test_an_event_with_a_delay_and_a_priority_begins_when_it_is_due(site: Site):
    due = round((time.time() + 3_600) * 1000)
    event_id = site.send("ten", {"sleep": 600}, delayUntil=due, priority=7)
    site.rest()
    assert site.ask("GET", f"/{event_id}")[0] == 404

    site.wake(3_601)
    assert site.show(event_id)["status"] == "sleeping"
    site.wake(601)

    run = site.show(event_id)
    assert (run["status"], run["priority"], site.did()) == ("completed", 7, STEPS)


def test_a_run_that_is_stopped_and_retried_at_once_goes_on_where_it_was(site: Site):
    event_id = site.send("ten", {"sleep": 600})
    site.rest()

    stopped = site.ask("POST", f"/{event_id}/stop")[1]
    status, retried = site.ask("POST", f"/{event_id}/retry")
    again = site.ask("POST", f"/{event_id}/retry")[0]
    assert (stopped["status"], status, retried["status"]) == ("cancelled", 202, "queued")
    assert again in (202, 409)  # until it is taken up, its event is sent once more
    site.rest()
    assert site.show(event_id)["status"] == "sleeping"
    site.wake(601)

    run = site.show(event_id)
    assert (run["status"], run["result"], site.did()) == ("completed", {"total": 45}, STEPS)
    site.wake(60)
    assert site.alarms() == 0


def test_a_run_in_hand_is_neither_retried_nor_deleted(make_site: MakeSite):
    site = make_site("one")
    event_id = site.send("ten", {"pause": 0.2})
    until(lambda: len(site.did()) > 1)

    for method, path in (("POST", "/retry"), ("DELETE", "")):
        status, answer = site.ask(method, f"/{event_id}{path}")
        assert (status, answer["error"]["code"]) == (409, "RUN_NOT_ENDED")
    site.rest()

    assert (site.show(event_id)["status"], site.did()) == ("completed", STEPS)


@dataclass
class Deploys:
    """A site whose functions and workflows change between two wake-ups, as by a deploy."""

    site: Site
    functions: Path
    workflow: Path

    def sleeping(self) -> str:
        event_id = self.site.send("ten", {"sleep": 600})
        self.site.rest()
        assert self.site.show(event_id)["status"] == "sleeping"
        return event_id


@pytest.fixture
def deploys(
    make_rig: type[Rig], tmp_path: Path, link_packages: Callable[[Path], None]
) -> Iterator[Deploys]:
    """The site; each invocation is in a new process."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    folder, tally = tmp_path / "site", tmp_path / "tally"
    folder.mkdir()
    functions = lay_out(folder, link_packages, project=project)
    env = {"TALLY": str(tally), "PYTHONDONTWRITEBYTECODE": "1"}
    with make_rig(functions, process="one", after="kill", env=env) as rig:
        workflow = project / "functions" / "workflows" / "ten.py"
        yield Deploys(Site(rig, tally), functions, workflow)


def test_after_a_deploy_a_run_goes_on_with_the_new_code_or_says_why_it_cannot(deploys: Deploys):
    site, workflow = deploys.site, deploys.workflow
    text = workflow.read_text()
    changed = text.replace('f"s{number}", work', 'f"t{number}", work')
    fits = deploys.sleeping()

    workflow.write_text(text.replace('{"total": total}', '{"total": -total}'))
    site.wake(601)
    assert site.show(fits)["result"] == {"total": -45}
    assert site.did() == STEPS

    does_not = deploys.sleeping()
    workflow.write_text(changed)
    site.wake(601)
    run = site.show(does_not)
    assert (run["status"], run["error"]["type"]) == ("failed", "ReplayError")

    torn = deploys.sleeping()
    workflow.write_text("raise RuntimeError('torn')")
    site.wake(601)
    run = site.show(torn)
    assert run["status"] == "queued"
    assert "torn" in run["attempts"][0]["error"]["message"]
    workflow.write_text(changed)
    for _ in range(3):
        site.wake(30)
    assert site.show(torn)["result"] == {"total": 45}  # what it had slept it need not sleep again


def test_a_workflow_that_is_gone_after_a_deploy_fails_its_runs_and_they_can_be_taken_up_again(
    deploys: Deploys,
):
    site, entry = deploys.site, deploys.functions / f"{FN}.mjs"
    text = entry.read_text()
    event_id = deploys.sleeping()

    entry.write_text(text.replace('"name": "ten"', '"name": "renamed"'))
    site.wake(601)
    site.wake(61)
    run = site.show(event_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "WORKFLOW_DEFINITION_NOT_FOUND")
    entry.write_text(text)
    assert site.ask("POST", f"/{event_id}/retry")[0] == 202
    site.rest()

    assert site.show(event_id)["result"] == {"total": 45}
    assert site.did() == STEPS
