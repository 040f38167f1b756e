"""
The pictures in the documentation, taken of made-up runs in a real browser.

They are taken in every run of the tests, to see that they can be; `make pictures` keeps them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

if TYPE_CHECKING:
    from tests.real.browser.conftest import Window

LARGEST = 150_000
"""Bytes of a picture: they are kept in the repository."""

MINUTE = 60_000


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where the pictures go: a folder of the test's own, unless `KIT_PICTURES` names one."""
    folder = Path(os.environ.get("KIT_PICTURES", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def newsroom(fake: Any, serve: Callable[..., Any]) -> Iterator[Any]:
    """A server with what a team may have on its desk; no text of it is hostile."""
    declined = fake.running().attempts[0].failure
    data = '{"file":"s3://orders/2026-11-25.csv"}'
    dead = fake.failed()
    attempts = tuple(replace(each, failure=declined) for each in dead.attempts)
    dead = replace(
        dead, run=dead.run._replace(data=data, failure=declined), attempts=attempts, checkpoints=()
    )
    begun = fake.running()
    begun = replace(begun, logs=tuple(each for each in begun.logs if each.text != fake.HOSTILE))
    kept = [begun, fake.sleeping(), fake.queued(), fake.completed(), dead, fake.cancelled()]
    more = ("Autumn sale", "Meet the team", "Release notes 4.2", "Holiday hours", "Ten years of us")
    for number, title in enumerate(more, 20):
        run = fake.completed(number).run
        run = run._replace(
            data=f'{{"title":"{title}"}}', created=run.created - number * 7 * MINUTE, key=None
        )
        kept.append(replace(fake.completed(number), run=run))
    runs = fake.FakeRuns()
    runs.keep(*kept)
    return serve(runs)


def shoot(window: Window, pictures: Path, name: str) -> None:
    window.page.wait_for_selector("#live[data-state=on]")
    path = pictures / f"{name}.png"
    path.write_bytes(window.page.screenshot(animations="disabled"))

    assert 5_000 < path.stat().st_size < LARGEST
    assert window.complaints == []


def test_the_list_and_a_run_are_taken_in_light_and_dark(
    newsroom: Any, fake: Any, open_window: Callable[..., Window], pictures: Path
) -> None:
    window = open_window()
    window.page.set_viewport_size({"width": 1100, "height": 640})
    window.page.clock.set_fixed_time(datetime.fromtimestamp(fake.NOW / 1_000, UTC))
    for name, address in (("runs", "/"), ("run", f"/runs/{fake.run_id(3)}")):
        window.page.goto(newsroom.url + address)
        for theme in ("light", "dark"):
            window.page.emulate_media(color_scheme=theme)
            shoot(window, pictures, f"{name}-{theme}")


def test_the_start_form_is_taken(
    newsroom: Any, fake: Any, open_window: Callable[..., Window], pictures: Path
) -> None:
    window = open_window()
    window.page.set_viewport_size({"width": 1100, "height": 640})
    window.page.clock.set_fixed_time(datetime.fromtimestamp(fake.NOW / 1_000, UTC))
    window.page.goto(newsroom.url + "/workflows/import-orders")
    window.page.fill("#field-customer", "Ada Lovelace")
    window.page.fill("#field-total", "42.50")
    shoot(window, pictures, "start")


def test_a_file_that_is_wrong_is_taken(
    newsroom: Any, fake: Any, open_window: Callable[..., Window], pictures: Path
) -> None:
    newsroom.runs.infos = (fake.BROKEN, *newsroom.runs.infos)
    window = open_window("dark")
    window.page.set_viewport_size({"width": 1100, "height": 480})
    window.page.goto(newsroom.url + "/workflows")
    shoot(window, pictures, "broken")


def test_a_run_on_a_phone_is_taken(
    newsroom: Any, fake: Any, open_window: Callable[..., Window], pictures: Path
) -> None:
    window = open_window("light", "narrow")
    window.page.clock.set_fixed_time(datetime.fromtimestamp(fake.NOW / 1_000, UTC))
    window.page.goto(f"{newsroom.url}/runs/{fake.run_id(2)}")
    shoot(window, pictures, "phone")
