"""What keeps an open page up to date."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kit.dev.dashboard import feed as feeding
from kit.dev.dashboard.feed import feed
from kit.dev.dashboard.render import Renderer
from kit.dev.dashboard.screens import Screens
from kit.dev.runs import Change
from kit.model.errors import StoreError

if TYPE_CHECKING:
    from tests.dev.dashboard.fake import FakeRuns


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "GAP", 0)
    monkeypatch.setattr(feeding, "_REST", 0)


def events(runs: FakeRuns, fake: Any, address: str, **options: bool) -> AsyncIterator[str]:
    renderer = Renderer(prefix="/_kit", token="t", project="p")
    return feed(Screens(runs, lambda: fake.NOW), renderer, address, **options)


def said(event: str) -> tuple[str, Any]:
    name, data = event.strip().splitlines()[-2:]
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def first(found: AsyncIterator[str], count: int) -> list[tuple[str, Any]]:
    return [said(await asyncio.wait_for(anext(found), 50)) for _ in range(count)]


async def test_a_page_is_brought_up_to_date_as_soon_as_it_listens(
    runs: FakeRuns, fake: Any
) -> None:
    async with aclosing(events(runs, fake, f"/runs/{fake.run_id(1)}")) as found:
        (hello, _), (regions, drawn) = await first(found, 2)

    assert (hello, regions) == ("hello", "regions")
    assert [each["id"] for each in drawn] == [
        "notices",
        "run-head",
        "run-values",
        "timeline",
        "logs",
    ]


async def test_only_what_looks_different_is_sent_again(runs: FakeRuns, fake: Any) -> None:
    async with aclosing(events(runs, fake, "/")) as found:
        await first(found, 2)
        runs.keep(fake.completed(77))
        ((_, (data,)),) = await first(found, 1)

    assert data["id"] == "runs"
    assert fake.run_id(77) in data["html"]


async def test_what_happens_to_other_runs_draws_nothing(runs: FakeRuns, fake: Any) -> None:
    runs.kept[fake.run_id(2)] = fake.sleeping(2)
    async with aclosing(events(runs, fake, f"/runs/{fake.run_id(2)}")) as found:
        await first(found, 2)
        runs.keep(fake.completed(77))
        runs.keep(fake.cancelled(2))
        ((_, drawn),) = await first(found, 1)

    assert "cancelled" in drawn[0]["html"]
    assert runs.pages == 0


async def test_a_run_that_has_ended_is_never_seen_without_its_result(
    runs: FakeRuns, fake: Any
) -> None:
    runs.kept[fake.run_id(2)] = fake.sleeping(2)
    async with aclosing(events(runs, fake, f"/runs/{fake.run_id(2)}")) as found:
        await first(found, 2)
        runs.keep(fake.completed(2))
        ((_, drawn),) = await first(found, 1)

    assert [each["id"] for each in drawn[:2]] == ["run-head", "run-values"]


async def test_a_flood_of_changes_is_drawn_as_one(
    runs: FakeRuns, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aclosing(events(runs, fake, "/")) as found:
        await first(found, 2)
        monkeypatch.setattr(feeding, "GAP", 0.05)
        for number in range(100, 600):
            runs.kept[fake.run_id(number)] = fake.completed(number)
        runs.feed.tell_of(Change(is_everything=True))
        await first(found, 1)

    assert runs.pages == 2


async def test_a_run_that_was_deleted_ends_its_feed(runs: FakeRuns, fake: Any) -> None:
    address = f"/runs/{fake.run_id(1)}"
    async with aclosing(events(runs, fake, address)) as found:
        await first(found, 2)
        del runs.kept[fake.run_id(1)]
        runs.feed.tell_of(Change(frozenset({fake.run_id(1)})))
        ((name, data),) = await first(found, 1)

        assert (name, data["isOver"]) == ("trouble", True)
        assert [each async for each in found] == []


@pytest.mark.parametrize("address", ["/nowhere?x=1", "/?from=elsewhere", "//[", ""])
async def test_a_page_that_does_not_exist_has_no_feed(
    runs: FakeRuns, fake: Any, address: str
) -> None:
    found = [said(each) async for each in events(runs, fake, address)]

    assert [name for name, _ in found] == ["hello", "trouble"]


async def test_a_page_that_is_awaited_comes_when_it_can_be_shown(
    runs: FakeRuns, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = fake.completed(77)
    address = f"/runs/{new.run.id}"
    async with aclosing(events(runs, fake, address, is_awaited=True)) as found:
        assert [name for name, _ in await first(found, 2)] == ["hello", "trouble"]
        runs.feed.tell_of(Change(is_everything=True))
        ((name, data),) = await first(found, 1)
        assert (name, data["isOver"]) == ("trouble", False)
        runs.keep(new)
        assert [name for name, _ in await first(found, 2)] == ["well", "regions"]

    monkeypatch.setattr(feeding, "_PATIENCE", 0)
    given_up = [said(each) async for each in events(runs, fake, "/runs/x", is_awaited=True)]
    assert [name for name, _ in given_up] == ["hello", "trouble"]


async def test_a_look_is_all_there_is_at_present(runs: FakeRuns, fake: Any) -> None:
    found = [said(each)[0] async for each in events(runs, fake, "/", is_look=True)]

    assert found == ["hello", "regions"]


async def test_a_source_that_is_well_again_is_said_to_be(
    runs: FakeRuns, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = runs.page

    async def fails(**options: Any) -> Any:
        raise StoreError("the file is damaged", path="x")

    async with aclosing(events(runs, fake, "/")) as found:
        await first(found, 2)
        for act, name in ((fails, "trouble"), (page, "well")):
            monkeypatch.setattr(runs, "page", act)
            runs.feed.tell_of(Change(is_everything=True))
            assert [each for each, _ in await first(found, 1)] == [name]


async def test_the_end_of_the_source_ends_the_feed(runs: FakeRuns, fake: Any) -> None:
    found = events(runs, fake, "/")
    runs.feed.close()

    assert len([each async for each in found]) == 2


async def test_while_a_step_runs_time_itself_is_drawn(
    runs: FakeRuns, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "_TICK", 0.001)
    clock = fake.NOW
    screens = Screens(runs, lambda: clock)
    renderer = Renderer(prefix="/_kit", token="t", project="p")
    async with aclosing(feed(screens, renderer, f"/runs/{fake.run_id(3)}")) as found:
        await first(found, 2)
        clock += 60_000
        ((_, (data,)),) = await first(found, 1)

    assert data["id"] == "timeline"


async def test_silence_is_broken_by_a_comment(
    runs: FakeRuns, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "_SILENCE", 0.001)
    async with aclosing(events(runs, fake, "/")) as found:
        await first(found, 2)

        assert await anext(found) == ": still here\n\n"


async def test_who_leaves_leaves_nothing_behind(runs: FakeRuns, fake: Any) -> None:
    before = asyncio.all_tasks()
    async with aclosing(events(runs, fake, "/")) as found:
        await first(found, 2)

    assert asyncio.all_tasks() == before


async def test_a_page_whose_name_has_a_question_mark_has_a_feed_as_well(
    runs: FakeRuns, fake: Any
) -> None:
    runs.infos = (replace(fake.BROKEN, name="really? yes"),)
    async with aclosing(events(runs, fake, "/workflows/really%3F%20yes?as=json")) as found:
        seen = await first(found, 2)

    assert [name for name, _ in seen] == ["hello", "regions"]
