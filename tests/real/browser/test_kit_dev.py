"""`kit dev` as a newcomer meets it: an empty folder, a terminal, a browser, a keyboard."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from playwright.sync_api import expect

from kit.netlify.router import ROUTER_PATH
from tests.support.kit_dev import LIMIT, ROOT, KitDev

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.real.browser.conftest import Window

SLEEP = 'await context.step.sleep("wait-before-publish", "30 seconds")'
NAPS = """
    from itertools import count
    from pathlib import Path

    for number in count():
        await context.step.sleep(f"nap-{number}", 1 + number / 4)
        if await context.step.run(f"look-{number}", Path(f"go-{title}").exists):
            break
"""
"""
What the template's workflow does instead: it sleeps until a test has seen it asleep. Each time a
little longer: however slow the machine, the run stays short enough for all of it to be shown.
"""

WAITING = """
from pathlib import Path
from kit import Context, define_workflow

@define_workflow
async def waiting(input: None, context: Context) -> str:
    count = 0
    while not await context.step.run(f"look-{count}", Path("go").exists):
        await context.step.sleep(f"nap-{count}", 1 + count / 4)
        count += 1
    return "as it was"
"""
"""A workflow that sleeps until a test has done what it does meanwhile."""


def edit(file: Path, old: str, new: str) -> None:
    """Save *file* with *new* instead of *old*."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def kit_dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KitDev]:
    """A project made by `kit init`, served by `kit dev` in a process of its own."""
    folder = tmp_path_factory.mktemp("newcomer")
    subprocess.run(
        [sys.executable, "-m", "kit.cli", "init", "x"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=LIMIT,
        capture_output=True,
    )
    workflows = folder / "x" / "functions" / "workflows"
    edit(workflows / "publish_draft.py", SLEEP, NAPS.strip())
    (workflows / "waiting.py").write_text(WAITING, encoding="utf-8")
    with KitDev(folder / "x") as dev:
        yield dev


THEMES = ("light", "dark")
SIZES = ("wide", "narrow")


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until what has the focus fits *wanted*, as someone without a mouse would."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    pytest.fail(f"{wanted} is not reached by Tab on {page.url}")


def test_a_run_is_started_and_watched_to_its_end_by_keyboard_in_every_look(
    kit_dev: KitDev, open_window: Callable[..., Window]
) -> None:
    windows = {size: open_window(theme, size) for theme, size in zip(THEMES, SIZES, strict=True)}
    for size, window in windows.items():
        start(window.page, kit_dev.url, f"Ship {size}")
    for size, window in windows.items():
        (kit_dev.root / f"go-Ship {size}").touch()
        watch(window.page, f"Ship {size}")
        for theme in THEMES:
            window.look(theme, size)

            assert (theme, window.barriers()) == (theme, [])
            assert (theme, window.overflow()) == (theme, 0)
        assert window.complaints == []


def start(page: Page, url: str, title: str) -> None:
    """Start publish-draft from its form, and see it asleep."""
    page.goto(f"{url}/_kit/")
    tab_to(page, ".skip")
    if page.locator(".first").count():  # nothing has run yet: the page says how
        tab_to(page, ".start-list a[href$=publish-draft]")
    else:
        tab_to(page, ".main-nav li:last-child a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/workflows")
        tab_to(page, ".card a.button[href$=publish-draft]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/workflows/publish-draft")
    tab_to(page, "#field-title")
    page.keyboard.press("Control+A")
    page.keyboard.type(title)
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
    page.evaluate("window.isTheSame = true")
    expect(page.locator(".run-head .status")).to_have_text("sleeping")


def watch(page: Page, title: str) -> None:
    """See it complete without a reload, and open what its step came to."""
    expect(page.locator(".run-head .status")).to_have_text("completed")
    assert page.evaluate("window.isTheSame"), "it was reloaded"
    expect(page.locator("[data-region=run-values]")).to_contain_text(title)
    tab_to(page, "#row-step-1 summary")
    page.keyboard.press("Enter")
    expect(page.locator("#row-step-1 .inside")).to_contain_text(title)


def test_what_is_saved_while_a_run_sleeps_is_what_it_goes_on_with(
    kit_dev: KitDev, open_window: Callable[..., Window]
) -> None:
    window, waiting = open_window(), kit_dev.root / "functions" / "workflows" / "waiting.py"
    page = window.page
    page.goto(f"{kit_dev.url}/_kit/workflows/waiting")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.locator(".row-sleep").first).to_be_visible()
    run = page.url
    edit(waiting, '"as it was"', '("as it was"')
    expect(page.locator(".notice-bad")).to_contain_text("waiting.py")
    page.goto(f"{kit_dev.url}/_kit/workflows")
    expect(page.locator(".card .panel-bad")).to_contain_text("was never closed")
    edit(waiting, '("as it was"', '"as it is now"')
    expect(page.locator(".card .panel-bad")).to_have_count(0)
    (kit_dev.root / "go").touch()
    page.goto(run)
    expect(page.locator(".run-head .status")).to_have_text("completed")
    (kit_dev.root / "go").unlink()

    expect(page.locator("[data-region=run-values]")).to_contain_text('"as it is now"')
    assert window.complaints == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/_kit/", {"Host": "evil.example"}, 403),
        ("GET", "/_kit/", {"Origin": "https://evil.example"}, 403),
        ("GET", "/_kit/feed?at=/", {"Origin": "http://evil.example"}, 403),
        ("POST", "/_kit/workflows/publish-draft", {}, 403),
        ("POST", "/_kit/runs/x/delete", {"x-kit-token": "guessed"}, 403),
        ("GET", "/_kit/static/%2e%2e/render.py", {}, 400),
        ("GET", "/_kit/static/..%5crender.py", {}, 400),
    ],
)
def test_strangers_are_refused(
    kit_dev: KitDev, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    address = urlsplit(kit_dev.url)
    assert address.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        assert connection.getresponse().status == status
    finally:
        connection.close()


def test_a_page_of_another_site_can_neither_embed_it_nor_start_anything(
    kit_dev: KitDev, open_window: Callable[..., Window]
) -> None:
    """A form of a foreign page is sent by the browser itself, cookies or not; a frame is tried."""
    page = open_window().page
    form = f"""
        <form method="post" action="{kit_dev.url}/_kit/workflows/publish-draft">
          <input name="input:/title" value="stolen"><button>Win a prize</button>
        </form>
        <iframe src="{kit_dev.url}/_kit/"></iframe>
    """

    def answer(route: Any) -> None:
        route.fulfill(body=form, content_type="text/html")

    page.route("http://prizes.example/", answer)
    page.goto("http://prizes.example/")
    framed = page.frames[1]
    assert not framed.evaluate("document.querySelector('main')")
    page.get_by_role("button").click()
    page.wait_for_url(re.compile("publish-draft"))
    expect(page.locator("body")).to_contain_text("may not use this server")

    assert "stolen" not in kit_dev.ask("GET", "/_kit/?text=stolen").text.partition("<tbody")[2]


def test_a_page_that_could_not_be_shown_is_as_soon_as_its_file_is_mended(
    kit_dev: KitDev, open_window: Callable[..., Window]
) -> None:
    file = kit_dev.root / "functions" / "workflows" / "late.py"
    page = open_window().page
    page.goto(f"{kit_dev.url}/_kit/workflows/late-comer")
    expect(page.locator("h1")).to_have_text("Not found")
    file.write_text("def (", encoding="utf-8")
    expect(page.locator(".only-when-live")).to_be_visible()
    file.write_text(
        "from kit import define_workflow\n\n"
        "@define_workflow(name='late-comer')\n"
        "def late(input): return input\n",
        encoding="utf-8",
    )
    expect(page.locator("h1")).to_have_text("late-comer")
    file.unlink()


def test_more_pages_are_followed_than_a_browser_has_connections(
    kit_dev: KitDev, open_window: Callable[..., Window]
) -> None:
    first = open_window().page
    pages = [first, *(first.context.new_page() for _ in range(6))]
    for page in pages:
        page.goto(f"{kit_dev.url}/_kit/?workflow=waiting")
        page.wait_for_selector("#live[data-state=on]")
    (kit_dev.root / "go").touch()
    kit_dev.ask("POST", ROUTER_PATH, json.dumps({"eventName": "waiting", "eventId": NEW}))
    for page in pages:
        expect(page.locator(f"#run-{NEW} .status")).to_have_text("completed")
    (kit_dev.root / "go").unlink()


NEW = "0e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b"
