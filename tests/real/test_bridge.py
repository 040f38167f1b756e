"""The bridge as it runs on Netlify: the real library and engine, real Node, real Python."""

from __future__ import annotations

import json
import string
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import respx

from kit.project import importing
from kit.project.discovery import discover
from tests.real.rig.rig import Rig, link_packages

HERE = Path(__file__).parent
PROJECT = HERE.parent / "deploy" / "function" / "project"
RUNTIME = HERE.parents[1] / "kit" / "deploy" / "function" / "runtime"
WAYS = [("in-process", "run"), ("one", "run"), ("one", "freeze"), ("one", "end"), ("one", "kill")]


class Site:
    """A site with the workflows of the project, on the real engine."""

    def __init__(self, rig: Rig, tally: Path) -> None:
        self.rig = rig
        self.tally = tally

    def send(self, name: str, data: Any = None) -> str:
        """Send an event, and wait until what it starts is over; return its id."""
        (event_id,) = self.send_all(name, [data or {}])
        return event_id

    def send_all(self, name: str, datas: list[dict[str, Any]]) -> list[str]:
        events = [
            {"eventName": name, "eventId": str(uuid.uuid4()), "data": data, "eventChain": [name]}
            for data in datas
        ]
        path = f'/.netlify/functions/async-workloads-router?events=["{name}"]'
        status, headers, _ = self.rig.ask("POST", path, events, key=self.rig.key)
        assert (status, headers.get("x-awl-ack")) == (200, "ack")
        self.rig.idle()
        return [event["eventId"] for event in events]

    def run(self, name: str, data: Any = None, *, waits: tuple[float, ...] = ()) -> list[str]:
        """Send an event, go on after each wait, and return what the workflow has noted."""
        self.send(name, data)
        self.rig.settle()
        for wait in waits:
            self.rig.advance(wait)
            self.rig.settle()
        return self.noted()

    def noted(self) -> list[str]:
        return self.tally.read_text().splitlines() if self.tally.exists() else []

    def invocations(self, name: str) -> int:
        return len(self.rig.log(name))

    def due(self) -> list[int]:
        """Return how many seconds after it was stored each waiting event is due."""
        waiting = [each["body"] for each in self.rig.events()["pending"]]
        return [round((each["delayUntilTime"] - each["enqueuedTime"]) / 1000) for each in waiting]

    def dead(self) -> int:
        return len(self.rig.events()["dead-lettered"])


def write_entries(folder: Path) -> None:
    """Write what `kit build` writes: an entry for each workflow, and the manifest."""
    functions = folder / "functions"
    functions.mkdir()
    link_packages(functions)
    found = discover(PROJECT / "functions" / "workflows", root=PROJECT)
    importing.forget()
    assert not found.errors
    template = string.Template((RUNTIME / "entry-workflow.mjs.txt").read_text())
    for name, workflow in found.workflows.items():
        waits = [round(each.total_seconds() * 1000) for each in workflow.retry.schedule()]
        text = template.substitute(
            SOURCE=found.paths[name],
            RUNTIME=RUNTIME,
            EVENTS=json.dumps([name]),
            MAX_RETRIES=workflow.retry.max_retries,
            BACKOFF=json.dumps(waits),
            INCLUDED="[]",
        )
        (functions / f"{name}.mjs").write_text(text)
    template = string.Template((RUNTIME / "entry-http.mjs.txt").read_text())
    text = template.substitute(
        SOURCE="functions/api/starting.py",
        RUNTIME=RUNTIME,
        NAME='"starting"',
        PATH='"/api/starting"',
        INCLUDED="[]",
    )
    (functions / "starting.mjs").write_text(text)
    bundle = folder / ".kit" / "bundle"
    bundle.mkdir(parents=True)
    manifest = {
        "python": sys.executable,
        "root": str(PROJECT),
        "paths": [str(HERE.parents[1])],
        "workflows": dict(found.paths),
        "folder": "functions/workflows",
        "functions": {"starting": "functions/api/starting.py"},
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_entries(folder)
    return folder


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(
    entries: Path, tmp_path: Path, network: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeSite]:
    """Start a site of the project's workflows, in one of the ways processes are treated."""
    rigs = []

    def make(process: str = "in-process", after: str = "run", **env: str) -> Site:
        tally = tmp_path / "tally"
        variables = {"TALLY": str(tally), "PYTHONDONTWRITEBYTECODE": "1", **env}
        rig = Rig(entries / "functions", process=process, after=after, env=variables)
        rigs.append(rig.__enter__())
        return Site(rig, tally)

    yield make
    for rig in rigs:
        rig.__exit__(None, None, None)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.mark.parametrize(("process", "after"), WAYS)
@pytest.mark.parametrize("name", ["sequence", "plain"])
def test_each_step_runs_once_however_the_process_is_treated(
    make_site: MakeSite, name: str, process: str, after: str
):
    site = make_site(process, after)

    noted = site.run(name, waits=(31,))

    assert noted == ["invoked", "one", "invoked", "invoked", "two", "invoked", "ended"]
    assert site.invocations(name) == 4
    assert site.dead() == 0


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_three_parallel_steps_and_one_after_take_three_invocations(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    noted = site.run("parallel")

    assert sorted(noted) == ["a", "after", "b", "c", "ended", "invoked", "invoked", "invoked"]
    assert site.invocations("parallel") == 3


def test_ten_gathered_steps_take_one_invocation(site: Site):
    noted = site.run("gathered")

    assert noted == ["invoked at 0", *(f"step-{n}" for n in range(1, 11)), "ended"]
    assert site.invocations("gathered") == 1


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_gathered_steps_survive_the_failure_of_the_seventh(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    site.send("gathered", {"fails": True})
    assert site.due() == [7]
    site.rig.advance(8)
    site.rig.settle()

    first = [f"step-{n}" for n in range(1, 8)]
    assert site.noted() == [
        "invoked at 0", *first, "invoked at 1", *(f"step-{n}" for n in range(7, 11)), "ended"
    ]  # fmt: skip


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_the_siblings_of_a_failed_step_are_kept_and_the_backoff_too(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    site.send("siblings")
    assert site.due() == [11]
    site.rig.advance(12)
    site.rig.settle()

    noted = site.noted()
    assert sorted(noted) == [
        "bad", "bad", "better", "ended", "good", "invoked at 0", "invoked at 1", "invoked at 1"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "done"),
    [
        ("dealt with", {"caught": 1, "between": 1, "last": 2, "ended": 1}),
        ("compensated", {"charge": 3, "refund": 2, "after": 1, "ended": 1}),
        ("beside", {"flaky": 2, "before": 1, "woken": 1, "ended": 1}),
        ("cut off", {"slow": 1, "fallback": 1, "ended": 1}),
    ],
)
def test_only_what_is_to_blame_is_tried_again(site: Site, how: str, done: dict[str, int]):
    noted = site.run("amends", {"how": how}, waits=(12, 12, 12))

    assert Counter(noted) == done
    assert site.dead() == 0


def test_events_sent_between_two_sleeps_are_sent_once(site: Site):
    site.run("sender", waits=(11, 11))

    assert sorted(site.noted()) == ["heard run_workflow", "heard send_event"]
    assert [each["eventChain"] for each in _bodies(site, "listener")] == [
        ["sender", "listener"]
    ] * 2


def _bodies(site: Site, name: str) -> list[dict[str, Any]]:
    return [entry["body"][0] for entry in site.rig.log(name)]


def test_values_come_back_exactly(site: Site):
    assert site.run("exact") == ["ended -1.0"]


@pytest.mark.parametrize(("process", "after"), WAYS)
def test_an_http_function_starts_workflows_of_its_own_site(
    make_site: MakeSite, process: str, after: str
):
    site = make_site(process, after)

    status, _, text = site.rig.ask("POST", "/api/starting")
    assert (status, json.loads(text)["status"]) == (200, "queued")
    site.rig.idle()
    status, _, text = site.rig.ask("PUT", "/api/starting")
    assert (status, text) == (204, "")
    site.rig.idle()

    assert sorted(site.noted()) == ["answered", "netlify quick", "netlify quick"]


def test_a_failing_step_is_tried_again_with_its_backoff_until_it_is_dead(site: Site):
    event_id = site.send("failing")
    site.rig.settle()
    assert site.due() == [3]
    site.rig.advance(4)
    site.rig.settle()
    assert site.due() == [9]
    site.rig.advance(10)
    site.rig.settle()

    assert site.noted() == ["kept", "tried", "tried", "tried"]
    assert (site.due(), site.dead()) == ([], 1)
    output = site.rig.output()
    assert f"[{event_id}] attempt 2 of {event_id}" in output
    assert f"[{event_id}] Traceback (most recent call last)" in output
    assert "RuntimeError: no luck" in output


def test_a_failure_that_was_a_suspension_counts_as_an_attempt(site: Site):
    site.send("unlucky")
    assert site.due() == [3]
    site.rig.advance(4)
    site.rig.settle()
    assert site.due() == [9]  # Netlify, which has counted no failure yet, would have taken 3
    site.rig.advance(10)
    site.rig.settle()

    noted = [line for line in site.noted() if line != "bad"]
    assert noted == ["invoked at 0", "good", "invoked at 1", "invoked at 2"]
    assert (site.noted().count("bad"), site.due(), site.dead()) == (3, [], 1)


def test_do_not_retry_is_a_dead_letter_at_once(site: Site):
    assert site.run("final", waits=(3600,)) == ["tried"]
    assert site.dead() == 1


@pytest.mark.parametrize(
    ("data", "due"),
    [
        ({"delay": "90 seconds"}, 90),
        ({"delay": "1 second"}, 5),  # the backoff is longer
        ({"delay": "1 second", "force": True}, 1),
    ],
)
def test_retry_after_is_honoured(site: Site, data: dict[str, Any], due: int):
    site.send("later", data)

    assert site.due() == [due]
    site.rig.advance(due + 1)
    site.rig.settle()
    assert site.noted() == ["tried", "tried", "ended"]


@pytest.mark.parametrize(("how", "says"), [("exit", "exit status 3"), ("segfault", "SIGSEGV")])
def test_a_crash_fails_the_attempt_and_the_next_one_has_a_new_python(
    site: Site, how: str, says: str
):
    noted = site.run("crashing", {"how": how}, waits=(6,))

    assert noted == ["kept", "crashed", "crashed", "ended"]
    output = site.rig.output()
    assert "the workflow crashing: Python ended" in output
    assert says in output
    assert "about to crash" in output
    assert how == "exit" or "Segmentation fault" in output


def test_what_does_not_end_in_time_fails_with_the_limit_named(make_site: MakeSite):
    site = make_site("one", AWL_SERVERLESS_TIMEOUT="11")
    hows = ["waits", "blocks", "thread"]

    site.send_all("stubborn", [{"how": how} for how in hows])  # each in a process of its own

    assert site.due() == [5, 5, 5]
    site.rig.advance(6)
    site.rig.settle()
    assert sorted(site.noted()) == sorted(hows * 2)
    output = site.rig.output()
    assert output.count("the limit of its function") == 3
    assert output.count("and did not stop when asked to") == 1  # what blocked the loop
    assert "background=True" in output


def test_output_arrives_in_order_with_the_event_id(site: Site):
    event_id = site.send("speaking")

    lines = site.rig.output().splitlines()
    said = [line.removeprefix(f"[{event_id}] ") for line in lines if event_id in line]
    assert said == [
        "first",
        "second",
        "shop: third with a value",
        "kit.workflow.speaking: fourth",
        "from a thread",
        "an end without a line end",
        "Traceback (most recent call last):",
    ]
    assert "from below" in lines
    assert any("KeyError: 'the last word'" in line for line in lines)


def _status(pid: int) -> tuple[int, int]:
    """Return how many kB a process holds, and how many descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def _drive(site: Site, numbers: range, crash: Callable[[int], bool] = lambda number: False) -> None:
    """Send an event for each number, one after the other; some crash Python at their first try."""
    path = '/.netlify/functions/async-workloads-router?events=["many"]'
    for number in numbers:
        data = {"number": number, "crash": crash(number)}
        event = {"eventName": "many", "eventId": str(uuid.uuid4()), "data": data}
        site.rig.ask("POST", path, [event], key=site.rig.key)
        site.rig.free()


def test_a_warm_function_holds_nothing_after_hundreds_of_invocations_and_ten_crashes(
    make_site: MakeSite,
):
    site = make_site("one")
    _drive(site, range(100))
    (worker,) = site.rig.workers()
    (python,) = _children(worker["pid"])
    before = [_status(pid) for pid in (worker["pid"], python)]

    _drive(site, range(100, 350))

    after = [_status(pid) for pid in (worker["pid"], python)]
    assert _children(worker["pid"]) == [python]
    assert after[1][0] - before[1][0] < 1_000  # kB
    assert after[1][1] == before[1][1]
    assert after[0][1] <= before[0][1] + 2

    _drive(site, range(350, 550), crash=lambda number: number % 20 == 10)
    assert len(_children(worker["pid"])) <= 1
    site.rig.advance(2)
    site.rig.settle()

    numbers = sorted(int(line.split()[0]) for line in site.noted())
    assert numbers == list(range(550))
    assert len({line.split()[2] for line in site.noted()}) > 10
    assert len(_children(worker["pid"])) == 1
    assert _status(worker["pid"])[1] <= before[0][1] + 2
    assert site.dead() == 0
