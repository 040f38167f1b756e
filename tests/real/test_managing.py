"""What the kit asks of the real engine's management: events are deleted and tried again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kit.client.api import send_event, send_events
from kit.client.async_workflow_client import AsyncWorkflowClient
from kit.model.errors import RejectedError

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig


async def test_chosen_events_are_deleted(site: Rig, manager: AsyncWorkflowClient):
    gone, kept = [await send_event("rig.record", delay="1 hour") for _ in range(2)]

    accepted = await manager.delete_events(ids=[gone])
    site.settle()
    site.advance(7200)
    site.settle()

    assert accepted.event_id is not None
    assert [each["eventId"] for each in site.seen()] == [kept]


@pytest.mark.parametrize("chosen", [{"states": ["pending"]}, {"everything": True}])
async def test_all_of_a_state_and_all_there_is_are_deleted(
    site: Rig, manager: AsyncWorkflowClient, chosen: dict[str, Any]
):
    await send_events([{"name": "rig.record", "delay": "1 hour"} for _ in range(3)])

    await manager.delete_events(**chosen)

    site.settle()
    assert not any(site.events().values())


async def test_events_in_other_states_are_kept(site: Rig, manager: AsyncWorkflowClient):
    event_id = await send_event("rig.record", delay="1 hour")

    await manager.delete_events(ids=[event_id], states=["dead-lettered", "hibernating"])

    site.settle()
    assert [each["body"]["eventId"] for each in site.events()["pending"]] == [event_id]


@pytest.mark.parametrize("by", ["ids", "names", "everything"])
async def test_a_dead_letter_is_tried_again(site: Rig, manager: AsyncWorkflowClient, by: str):
    event_id = await send_event("rig.fail", {"final": True})
    assert [each["attempt"] for each in site.seen()] == [0]

    chosen = {"ids": [event_id], "names": ["rig.fail"], "everything": True}
    await manager.retry_events(**{by: chosen[by]})
    site.settle()

    assert [(each["eventId"], each["attempt"]) for each in site.seen()] == [(event_id, 0)] * 2


async def test_management_needs_the_key(site: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    await send_event("rig.record", delay="1 hour")

    async with AsyncWorkflowClient(site.url, "wrong-key") as stranger:
        with pytest.raises(RejectedError) as caught:
            await stranger.delete_events(everything=True)

    assert caught.value.status_code == 401
    site.settle()
    assert len(site.events()["pending"]) == 1
