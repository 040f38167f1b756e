"""What the clients promise of a site, of sites that are there: the real engine, and `kit dev`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import respx

from tests.support.client_suite import NAME, Arrival, ClientSuite, Site
from tests.support.kit_dev import RUNS, KitDev

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

WORKFLOW = """
from kit import DoNotRetry, define_workflow

@define_workflow
async def publish_draft(input):
    if input == {"final": True}:
        raise DoNotRetry("failed for good")
"""


class Engine:
    """The real engine."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.url, self.key = rig.url, rig.key

    def arrivals(self) -> list[Arrival]:
        self._rig.settle()
        seen = [
            Arrival(each["eventId"], json.loads(each["data"]), each["priority"] or 0)
            for each in self._rig.seen(workload="recorder")
        ]
        stored = [each["body"] for state in self._rig.events().values() for each in state]
        late = [
            Arrival(each["eventId"], each["eventData"], each["priority"], is_delayed=True)
            for each in stored
        ]
        return seen + late

    def fail(self, client: Any) -> tuple[str, str]:
        event_id = client.send_event("rig.fail", {"final": True})
        self._rig.settle()
        return event_id, "rig.fail"

    def tries(self, event_id: str) -> int:
        self._rig.settle()
        return len([each for each in self._rig.seen() if each["eventId"] == event_id])


class Served:
    """`kit dev`, and what has arrived there since this was made."""

    def __init__(self, dev: KitDev) -> None:
        self._dev, self._since = dev, time.time_ns() // 1_000_000
        self.url, self.key = dev.url, str(dev.key)

    def arrivals(self) -> list[Arrival]:
        runs = self._dev.ask("GET", f"{RUNS}?limit=100&since={self._since}").json["runs"]
        kept = [each["id"] for each in runs if each["status"] != "cancelled"]
        return [
            Arrival(run["id"], run["data"], run["priority"], run["status"] == "queued")
            for run in map(self._dev.run, kept)
        ]

    def fail(self, client: Any) -> tuple[str, str]:
        event_id = client.send_event(NAME, {"final": True})
        self._dev.ended(event_id)
        return event_id, NAME

    def tries(self, event_id: str) -> int:
        return len(self._dev.ended(event_id)["attempts"])


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitDev]:
    root = tmp_path_factory.mktemp("served")
    (root / ".git").mkdir()
    file = root / "functions/workflows/publish_draft.py"
    file.parent.mkdir(parents=True)
    file.write_text(WORKFLOW)
    environ = {"WORKFLOW_API_KEY": "dev-key", "WORKFLOW_DURABILITY": "normal"}
    with KitDev(root, environ=environ) as dev:
        yield dev


class TestTheRealEngine(ClientSuite):
    @pytest.fixture
    def site(self, rig: Rig) -> Site:
        return Engine(rig)


class TestKitDev(ClientSuite):
    @pytest.fixture
    def site(self, dev: KitDev, network: respx.MockRouter) -> Site:
        network.route(host="127.0.0.1").pass_through()
        return Served(dev)
