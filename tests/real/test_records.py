"""Runs with a record, as on Netlify: the real library and engine, real Node, real Python."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import respx

from kit.deploy.bundle.entries import text_of
from kit.deploy.bundle.plan import WorkflowFacts, plan

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

HERE = Path(__file__).parent
PROJECT = HERE / "recorded"
ROOT = HERE.parents[1]
RUNTIME = ROOT / "kit" / "deploy" / "function" / "runtime"
RUN_SCHEMA, PAGE_SCHEMA = (
    json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text()) for name in ("run", "runs")
)
RUNS = "/.netlify/functions/kit-runs"
FN = "kit-workflows-blobs"
RECORDS = "site:kit-runs/runs/"


class Site:
    """A site whose workflows have records, on the real engine."""

    def __init__(self, rig: Rig, tally: Path) -> None:
        self.rig = rig
        self.tally = tally

    def send(self, name: str, data: Any = None, *, event_id: str = "", times: int = 1) -> str:
        """Send an event, so often at once; return its id as soon as it is acknowledged."""
        event_id = event_id or str(uuid.uuid4())
        event = {"eventName": name, "eventId": event_id, "data": data or {}, "eventChain": [name]}
        path = f'/.netlify/functions/async-workloads-router?events=["{name}"]'
        status, headers, _ = self.rig.ask("POST", path, [event] * times, key=self.rig.key)
        assert (status, headers.get("x-awl-ack")) == (200, "ack")
        return event_id

    def rest(self) -> None:
        """Wait until nothing is under way."""
        until(lambda: all(each["ended"] for each in self.rig.log()), told=self.rig.output)
        self.rig.idle()

    def run(self, name: str, data: Any = None, *, waits: tuple[float, ...] = ()) -> dict[str, Any]:
        """Send an event, go on after each wait, and return the run."""
        event_id = self.send(name, data)
        self.rest()
        for wait in waits:
            self.rig.advance(wait)
            self.rig.settle()
        return self.show(event_id)

    def list(self, query: str) -> list[dict[str, Any]]:
        status, page = self.ask("GET", query)
        assert status == 200, page
        jsonschema.validate(page, PAGE_SCHEMA)
        found: list[dict[str, Any]] = page["runs"]
        return found

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, _, text = self.rig.ask(method, RUNS + path, body, key=self.rig.key)
        return status, json.loads(text)

    def show(self, event_id: str) -> dict[str, Any]:
        status, run = self.ask("GET", f"/{event_id}")
        assert status == 200, run
        jsonschema.validate(run, RUN_SCHEMA)
        found: dict[str, Any] = run
        return found

    def noted(self) -> list[str]:
        return self.tally.read_text().splitlines() if self.tally.exists() else []

    def invocations(self) -> int:
        return len(self.rig.log(FN))

    def writes(self) -> list[dict[str, Any]]:
        """Return the writes of records that were done."""
        log = self.rig.store_log()
        puts = [each for each in log if each["op"] == "PUT" and each["status"] == 200]
        return [each for each in puts if each["key"].startswith(RECORDS)]


def until(
    holds: Callable[[], bool], seconds: float = 60, told: Callable[[], Any] = lambda: ""
) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, told()
        time.sleep(0.01)


def facts(name: str, **more: Any) -> WorkflowFacts:
    return WorkflowFacts(name, f"functions/workflows/{name}.py", store="blobs", **more)


WORKFLOWS = [
    *(facts(name) for name in ("ten", "together", "long", "slow", "heard", "journey")),
    facts("failing", max_retries=2, backoff=(1_000, 60_000)),
    facts("limited", timeout=5_000),
    facts("many", background=True),
]


@pytest.fixture(scope="module")
def functions(
    tmp_path_factory: pytest.TempPathFactory, link_packages: Callable[[Path], None]
) -> Path:
    """What `kit build` writes, without an interpreter of its own."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "functions").mkdir()
    link_packages(folder)
    for entry in plan(WORKFLOWS, [], "shared"):
        (folder / "functions" / entry.file).write_text(text_of(entry, "functions"))
    bundle = folder / ".kit" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "runtime").symlink_to(RUNTIME, target_is_directory=True)
    manifest = {
        "python": sys.executable,
        "root": str(PROJECT),
        "paths": [str(ROOT)],
        "workflows": {each.name: each.path for each in WORKFLOWS},
        "folder": "functions/workflows",
        "functions": {},
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return folder / "functions"


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(
    functions: Path, make_rig: type[Rig], tmp_path: Path, network: respx.MockRouter
) -> Iterator[MakeSite]:
    """Start a site, in one of the ways processes are treated."""
    rigs = []

    def make(process: str = "in-process", after: str = "run", **env: str) -> Site:
        tally = tmp_path / "tally"
        variables = {"TALLY": str(tally), "PYTHONDONTWRITEBYTECODE": "1", **env}
        rig = make_rig(functions, process=process, after=after, env=variables)
        rigs.append(rig.__enter__())
        return Site(rig, tally)

    yield make
    for rig in rigs:
        rig.__exit__(None, None, None)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


WAYS = [("in-process", "run"), ("one", "freeze"), ("one", "end"), ("one", "kill")]
STEPS = [f"s{number}" for number in range(10)]


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_ten_steps_are_one_invocation(make_site: MakeSite, process: str, after: str):
    site = make_site(process, after)

    run = site.run("ten")

    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS]
    assert [step["id"] for step in run["steps"]] == STEPS
    assert len(site.writes()) == 12


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_a_sleep_of_a_moment_is_no_invocation(make_site: MakeSite, process: str, after: str):
    site = make_site(process, after)

    run = site.run("ten", {"sleep": 2})

    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS[:5], "invoked", *STEPS[5:]]


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_a_sleep_of_minutes_is_one_invocation_more(make_site: MakeSite, process: str, after: str):
    site = make_site(process, after)

    event_id = site.send("ten", {"sleep": 600})
    site.rest()
    run = site.show(event_id)
    assert run["status"] == "sleeping"
    assert run["steps"][-1]["status"] == "sleeping"
    site.rig.advance(601)
    site.rig.settle()

    run = site.show(event_id)
    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 2)
    assert site.noted() == ["invoked", *STEPS[:5], "invoked", *STEPS[5:]]


def test_parallel_steps_that_end_together_are_one_commit(site: Site):
    run = site.run("together")

    assert (run["result"], sorted(site.noted())) == ("abc", ["a", "b", "c"])
    assert len(site.writes()) == 3  # taken, committed, ended


def test_a_run_is_seen_from_its_first_delivery_to_its_end(site: Site):
    event_id = str(uuid.uuid4())
    assert site.ask("GET", f"/{event_id}")[0] == 404

    site.send("ten", {"sleep": 600}, event_id=event_id)
    site.rest()
    assert [run["id"] for run in site.list("?status=sleeping&workflow=ten")] == [event_id]
    site.rig.advance(601)
    site.rig.settle()

    assert site.ask("GET", f"/{event_id}/result")[1]["result"] == {"total": 45}
    assert site.list("?status=sleeping") == []


def test_a_failure_is_tried_again_with_its_backoff_and_a_step_that_was_kept_is_not(site: Site):
    run = site.run("failing", {"failures": 2}, waits=(61,))

    assert (run["status"], run["result"], run["attempt"]) == ("completed", "charged", 2)
    assert site.noted() == ["kept", "tried", "tried", "tried"]
    assert [each["retryIn"] for each in run["attempts"]] == [1_000, 60_000]
    assert site.invocations() == 2  # the second was waited for in place
    (first, _) = run["attempts"]
    assert (first["error"]["type"], first["error"]["stepId"]) == ("ValueError", "charge")
    assert "failing.py" in first["error"]["traceback"]


def test_the_last_failure_is_a_dead_letter_which_can_be_retried(site: Site):
    run = site.run("failing", {"failures": 3}, waits=(61,))
    assert (run["status"], run["error"]["message"]) == ("failed", "no luck")
    assert len(site.rig.events()["dead-lettered"]) == 1

    status, queued = site.ask("POST", f"/{run['id']}/retry")
    assert (status, queued["status"]) == (202, "queued")
    site.rest()

    run = site.show(run["id"])
    assert (run["status"], run["result"], run["attempt"]) == ("completed", "charged", 0)
    assert site.noted() == ["kept", "tried", "tried", "tried", "tried"]


@pytest.mark.parametrize("times", [2, 5])
def test_one_event_delivered_often_at_once_is_one_run(make_site: MakeSite, times: int):
    site = make_site("one")

    event_id = site.send("ten", {"sleep": 2}, times=times)
    site.rest()
    site.send("ten", {"sleep": 2}, event_id=event_id)
    site.rest()
    site.rig.advance(60)
    site.rig.settle()

    run = site.show(event_id)
    assert (run["status"], run["result"]) == ("completed", {"total": 45})
    assert [line for line in site.noted() if line != "invoked"] == STEPS


def test_what_the_engine_has_forgotten_the_record_knows(site: Site):
    event_id = site.send("ten", {"sleep": 600})
    site.rest()
    site.rig.advance(601)
    # the hand-over to the function fails, and Async Workloads empties its memory of steps
    site.rig.answers(fn=FN, status=502)
    site.rig.settle()
    site.rig.advance(6)
    site.rig.settle()

    assert site.show(event_id)["result"] == {"total": 45}
    assert [line for line in site.noted() if line != "invoked"] == STEPS


def test_a_stop_is_heard_within_seconds_in_a_long_step_that_waits(site: Site):
    event_id = site.send("long", {"how": "waits"})
    until(lambda: site.noted() == ["began"])
    began = time.monotonic()

    assert site.ask("POST", f"/{event_id}/stop") == (200, site.ask("GET", f"/{event_id}/result")[1])
    until(lambda: site.show(event_id)["status"] == "cancelled")

    assert time.monotonic() - began < 8  # three seconds between looks, and a busy machine
    site.rest()
    assert site.noted() == ["began"]


def test_a_stop_is_heard_after_a_step_that_cannot_be_interrupted(site: Site):
    event_id = site.send("long", {"how": "blocks"})
    until(lambda: site.noted() == ["began"])

    site.ask("POST", f"/{event_id}/stop")
    site.rest()

    assert site.show(event_id)["status"] == "cancelled"
    assert "next" not in site.noted()


def test_a_run_that_sleeps_for_a_day_is_stopped_at_once(site: Site):
    event_id = site.send("long", {"how": "sleeps"})
    site.rest()
    assert site.show(event_id)["status"] == "sleeping"

    assert site.ask("POST", f"/{event_id}/stop")[1]["status"] == "cancelled"
    site.rig.advance(90_000)
    site.rig.settle()

    assert (site.show(event_id)["status"], site.noted()) == ("cancelled", [])
    assert site.rig.events()["hibernating"] == []


def test_a_timeout_is_kept_to_in_a_long_step_and_in_a_sleep(site: Site):
    began = time.monotonic()
    waits = site.send("limited", {"how": "waits"})
    sleeps = site.send("limited", {"how": "sleeps"})
    site.rest()
    assert time.monotonic() - began < 15  # five, within five, and a busy machine
    site.rig.advance(6)
    site.rig.settle()

    for event_id in (waits, sleeps):
        run = site.show(event_id)
        assert (run["status"], run["error"]["code"]) == ("failed", "RUN_TIMED_OUT")
    assert site.noted() == ["began"]


@pytest.mark.parametrize(
    "rule",
    [
        {"do": "lost"},
        {"do": "lost", "times": 3, "after": 4},
        {"do": "untagged", "op": "PUT", "times": 3, "after": 2},
        {"do": "refused", "times": 4, "after": 3},
        {"do": "late", "ms": 300, "times": 3, "after": 3},
    ],
    ids=lambda rule: f"{rule['do']}-{rule.get('times', 1)}",
)
def test_what_the_store_does_wrong_for_a_moment_changes_nothing(site: Site, rule: dict[str, Any]):
    site.rig.spoil(**{"op": "PUT", "key": "/runs/", **rule})

    run = site.run("ten")

    assert (run["status"], run["result"], site.invocations()) == ("completed", {"total": 45}, 1)
    assert site.noted() == ["invoked", *STEPS]


def test_a_store_that_is_away_for_ten_seconds_is_waited_for(site: Site):
    event_id = str(uuid.uuid4())
    site.rig.spoil("refused", op="PUT", key="/runs/", times=100_000, after=4)
    began = time.monotonic()
    site.send("ten", event_id=event_id)
    until(lambda: time.monotonic() - began > 9)
    site.rig.mend()
    site.rest()

    assert site.show(event_id)["result"] == {"total": 45}
    assert site.noted() == ["invoked", *STEPS]


def test_access_that_is_refused_in_mid_run_is_told_and_the_run_goes_on_later(site: Site):
    site.rig.spoil("denied", op="PUT", key="/runs/", after=4)
    event_id = site.send("ten")
    site.rest()
    assert "the access given to this invocation was refused (401)" in site.rig.output()
    assert site.show(event_id)["status"] == "running"
    for _ in range(4):
        site.rig.advance(30)
        site.rig.settle()

    run = site.show(event_id)
    assert (run["status"], run["result"], run["attempt"]) == ("completed", {"total": 45}, 0)
    again = [line for line in site.noted() if line != "invoked"]
    assert again == [*STEPS[:4], "s3", *STEPS[4:]]  # the one whose commit was refused


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_run_that_is_longer_than_its_function_goes_on_in_another_at_once(
    make_site: MakeSite, is_lost: bool
):
    site = make_site(AWL_SERVERLESS_TIMEOUT="11")
    if is_lost:  # the event that was to send it on: there is a spare alarm
        site.rig.answers(fn=FN, skip=1)

    event_id = site.send("slow")
    site.rest()
    if is_lost:
        assert site.show(event_id)["status"] == "queued"
    else:
        assert site.show(event_id)["status"] == "completed"
    for _ in range(3):
        site.rig.advance(61)
        site.rig.settle()

    run = site.show(event_id)
    assert (run["status"], run["attempts"], site.noted()) == ("completed", [], [*"abcdef"])
    assert all(not events for events in site.rig.events().values())  # no alarm is left


def test_a_thousand_steps_in_a_background_function(site: Site):
    run = site.run("many", {"steps": 1_000})

    assert (run["status"], run["result"], len(run["steps"])) == ("completed", 1_000, 1_000)
    sizes = [each["bytes"] for each in site.writes()]
    assert len(sizes) == 1_002
    assert max(sizes) < 50_000
    assert sum(sizes) < 25_000_000


def test_the_key_is_in_no_log_and_no_record(site: Site):
    site.run("failing", {"failures": 5}, waits=(61,))
    site.rig.ask("GET", RUNS, key="wrong")

    assert site.rig.key not in site.rig.output()
    assert site.rig.key not in json.dumps(site.rig.blobs()["kit-runs"])


KILLS = int(os.environ.get("KILLS", "8"))


@pytest.mark.parametrize("first", range(0, KILLS, 8))
def test_a_process_that_is_killed_anywhere_costs_nothing_that_was_committed(
    make_site: MakeSite, first: int
):
    site = make_site("one")
    for number in range(first, min(first + 8, KILLS)):
        site.tally.unlink(missing_ok=True)
        site.rig.reset()
        name = f"run {number}"
        how = "kill-after" if number % 2 else "kill-before"
        # at each write in turn; and each third run is killed twice
        for place in [number // 2 % 12, *([number % 5] if number % 3 == 2 else [])]:
            site.rig.spoil(how, op="PUT", key="/runs/", after=place)
        event_id = site.send("journey", {"name": name})
        committed = go_on(site, event_id)

        run = site.show(event_id)
        expected = {"steps": ["first", "a1a2", "b1b2", "last"], "caught": "as always"}
        assert (run["status"], run["result"]) == ("completed", expected), (number, run)
        noted = site.noted()
        for counted in committed:
            for step, count in counted.items():
                assert noted.count(step) == count, (number, step, noted)
        heard = site.list("?workflow=heard")
        assert [each["status"] for each in heard] == ["completed"], number


def go_on(site: Site, event_id: str) -> list[dict[str, int]]:
    """Go on until the run has ended; return how often what was committed had run, at each stop."""
    committed = []
    for _ in range(12):
        until(lambda: not any(each["busy"] for each in site.rig.workers()))
        status, run = site.ask("GET", f"/{event_id}")
        noted = site.noted()
        if status == 200:
            done = {step["id"] for step in run["steps"] if step["kind"] == "step"}
            committed.append({step: noted.count(step) for step in done})
            heard = [each["status"] for each in site.list("?workflow=heard")]
            if run["status"] == "completed" and set(heard) == {"completed"}:
                break
        site.rig.advance(1_300, at_once=True)  # what is being processed is given up after 20 min
        site.rig.tick(2)
    return committed


@pytest.mark.parametrize(
    "bad", ["..%2f..%2fx", "x%3fy", "x%23y", "a" * 10_000, "5", "%00", "index%2f2026-01-01"]
)
def test_what_is_no_id_is_refused_as_json(site: Site, bad: str):
    for method, rest in (("GET", ""), ("GET", "/result"), ("POST", "/stop"), ("DELETE", "")):
        status, answer = site.ask(method, f"/{bad}{rest}")
        assert (status, answer["error"]["code"]) == (400, "INVALID_ID")
    assert site.rig.store_log() == []


def test_nobody_is_let_in_without_the_key(site: Site):
    event_id = site.run("ten")["id"]

    for key in (None, "wrong", site.rig.key + "x"):
        for method, path in (("GET", ""), ("GET", f"/{event_id}"), ("DELETE", f"/{event_id}")):
            status, headers, text = site.rig.ask(method, RUNS + path, key=key)
            assert (status, json.loads(text)["error"]["code"]) == (401, "UNAUTHORIZED")
            assert "access-control-allow-origin" not in headers
    assert site.show(event_id)["status"] == "completed"


def test_an_ended_run_is_deleted_and_a_late_event_does_not_begin_it_anew(site: Site):
    event_id = site.run("ten")["id"]

    assert site.ask("DELETE", f"/{event_id}") == (200, {"deleted": [event_id]})
    site.send("ten", event_id=event_id)
    site.rest()

    assert site.ask("GET", f"/{event_id}")[0] == 404
    assert site.noted() == ["invoked", *STEPS]
