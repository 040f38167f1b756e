"""The dashboard in a real browser, over runs that nobody has run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from playwright.sync_api import expect

from kit.dev.dashboard.feed import GAP
from kit.dev.runs import Source

if TYPE_CHECKING:
    from tests.real.browser.conftest import Window


@pytest.fixture
def server(fake: Any, serve: Callable[..., Any]) -> Any:
    """A server with a run of every kind."""
    runs = fake.FakeRuns()
    for number, make in enumerate(fake.EVERY, 1):
        runs.keep(make(number))
    return serve(runs)


def addresses(fake: Any) -> dict[str, str]:
    """Return pages of every kind, by name."""
    kinds = {each.__name__: fake.run_id(number) for number, each in enumerate(fake.EVERY, 1)}
    runs = {name: f"/runs/{run_id}" for name, run_id in kinds.items() if name not in ALIKE}
    return {**PAGES, **runs, "not found": "/nowhere"}


ALIKE = ("completed", "cancelled")
"""Runs whose pages have nothing on them that others' have not; each is looked at elsewhere."""

PAGES = {
    "runs": "/",
    "workflows": "/workflows",
    "a form": "/workflows/import-orders",
}
LOOKS = [("light", "wide"), ("dark", "narrow")]
"""Two of four looks: each theme and each size once; the others are seen in `test_kit_dev`."""


def test_nobody_is_kept_out(server: Any, fake: Any, open_window: Callable[..., Window]) -> None:
    """No serious finding of axe, nothing wider than the window, no complaint on the console."""
    server.runs.infos = (*server.runs.infos, fake.BROKEN)
    server.runs.keep(fake.long(5, 110))  # long enough to be cut, and no longer
    server.runs.source = Source("local", ".kit/runs.db", 4242)
    window = open_window()
    for name, address in addresses(fake).items():
        window.page.goto(server.url + address)
        for summary in window.page.locator(".row summary").all()[:2]:
            summary.click()

        for look in LOOKS:
            window.look(*look)
            assert (name, look, window.barriers()) == (name, look, [])
            assert (name, look, window.overflow()) == (name, look, 0)

    # the one page that is missed on purpose
    assert [each for each in window.complaints if "404" not in each] == []
    assert len(window.complaints) == 1


def test_an_empty_project_says_how_to_start(
    server: Any, open_window: Callable[..., Window]
) -> None:
    server.runs.kept.clear()
    window = open_window()
    window.page.goto(server.url + "/")

    for look in LOOKS:
        window.look(*look)
        expect(window.page.get_by_role("link", name="Start publish-draft")).to_be_visible()
        assert (look, window.barriers()) == (look, [])
        assert (look, window.overflow()) == (look, 0)


def test_what_workflows_say_never_runs(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    wrong = fake.replace(fake.BROKEN, name=fake.HOSTILE, error=fake.HOSTILE, file=fake.HOSTILE)
    server.runs.infos = (*server.runs.infos, wrong)
    window = open_window()
    window.page.on("dialog", lambda dialog: window.complaints.append(dialog.message))
    for address in ("/", f"/runs/{fake.run_id(4)}", "/workflows"):
        window.page.goto(server.url + address)
        window.page.wait_for_selector("#live[data-state=on]")

        expect(window.page.locator("main")).to_contain_text("onerror=alert(1)")
        expect(window.page.locator("img[src=x]")).to_have_count(0)

    assert window.complaints == []


def test_a_new_run_appears_and_what_is_open_or_typed_stays(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window().page
    page.goto(server.url + "/")
    page.wait_for_selector("#live[data-state=on]")
    page.fill("#filter-text", "Ship")
    expect(page.locator("tbody tr")).to_have_count(1)
    new = fake.completed(77)
    server.do(server.runs.keep, new)
    page.wait_for_selector(f"#run-{new.run.id}")

    expect(page.locator("#filter-text")).to_have_value("Ship")
    expect(page.locator("#filter-text")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?text=Ship$"))


def test_a_run_is_followed_to_its_end_with_its_rows_left_open(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    window = open_window()
    page, details = window.page, fake.sleeping(2)
    page.goto(f"{server.url}/runs/{fake.run_id(2)}")
    page.wait_for_selector("#live[data-state=on]")
    page.evaluate("window.isTheSame = true")
    page.evaluate(LOOK_AT_EACH_DRAWING)
    page.locator("#row-step-1 summary").click()
    ended = details.run._replace(status=fake.RunStatus.COMPLETED, ended=fake.NOW, result='"sent"')
    server.do(server.runs.keep, fake.replace(details, run=ended))
    page.wait_for_selector(".run-head .status-completed")

    expect(page.locator("#row-step-1 details")).to_have_attribute("open", "")
    expect(page.locator("[data-region=run-values]")).to_contain_text("sent")
    expect(page.locator("#announce")).to_have_text("daily-report is completed")
    expect(page).to_have_title(re.compile("^completed: daily-report"))
    assert page.evaluate("window.isTheSame")
    assert [seen for seen in page.evaluate("window.seen") if "Not yet" in seen] == []
    assert window.complaints == []


LOOK_AT_EACH_DRAWING = """() => {
    window.seen = [];
    const main = document.querySelector("main");
    const status = () => main.querySelector(".run-head .status").textContent.trim();
    new MutationObserver(() => {
        if (status() === "completed") window.seen.push(main.textContent);
    }).observe(main, { subtree: true, childList: true, attributes: true });
}"""
"""Note all that a reader could have seen of a completed run, from one drawing to the next."""


def test_five_hundred_steps_a_second_do_not_make_the_page_grow(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    window = open_window()
    page, whole = window.page, fake.long(5, 1_500)
    page.goto(f"{server.url}/runs/{fake.run_id(5)}")
    page.wait_for_selector("#live[data-state=on]")
    before = page.evaluate("document.querySelectorAll('*').length")
    page.evaluate(
        """() => {
            window.drawn = 0;
            document.addEventListener("kit:drawn", () => { window.drawn += 1; });
        }"""
    )
    running = whole.run._replace(status=fake.RunStatus.RUNNING, ended=None, result=None)

    def grow(count: int) -> None:
        kept = fake.Details(running, whole.checkpoints[:count])
        server.runs.keep(kept)

    began = time.monotonic()
    for count in range(1_000, 1_500):
        server.do(grow, count)
        page.evaluate("0")  # some 2 ms
    page.wait_for_selector("text=page-1499")
    drawings = (time.monotonic() - began) / GAP + 2  # as many as there may be, be it ever so slow

    assert page.evaluate("document.querySelectorAll('*').length") < before * 1.6
    assert page.locator(".row").count() <= 120
    assert page.evaluate("window.drawn") <= drawings * LIVING  # of 500 changes
    assert window.complaints == []


LIVING = 5
"""Regions of a run's page: each is drawn once a drawing at most."""


def test_a_page_takes_up_the_next_server_by_itself(
    fake: Any, serve: Callable[..., Any], open_window: Callable[..., Window]
) -> None:
    runs = fake.FakeRuns()
    runs.keep(fake.completed(1))
    first = serve(runs)
    page = open_window().page
    page.goto(first.url + "/")
    page.wait_for_selector("#live[data-state=on]")
    first.close()
    page.wait_for_selector("#live[data-state=off]")
    again = fake.FakeRuns()
    again.keep(fake.completed(1), fake.completed(78))
    serve(again, port=first.port)

    page.wait_for_selector(f"#run-{fake.run_id(78)}")
    page.wait_for_selector("#live[data-state=on]")


def test_what_is_typed_outlives_the_server_and_can_be_sent_to_the_next(
    fake: Any, serve: Callable[..., Any], open_window: Callable[..., Window]
) -> None:
    first = serve(fake.FakeRuns(), token="first")
    page = open_window().page
    page.goto(first.url + "/workflows/publish-draft")
    page.wait_for_selector("#live[data-state=on]")
    page.fill("#field-title", "Typed before")
    first.close()
    page.wait_for_selector("#live[data-state=off]")
    serve(fake.FakeRuns(), port=first.port, token="second")
    page.wait_for_selector("form.start input[name=token][value=second]", state="attached")

    expect(page.locator("#field-title")).to_have_value("Typed before")


def test_a_hidden_page_listens_to_nothing_and_catches_up_when_seen(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window().page
    page.goto(server.url + "/")
    page.wait_for_selector("#live[data-state=on]")
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    server.do(server.runs.keep, fake.completed(79))
    with page.expect_response(lambda response: "/feed" in response.url):
        page.evaluate(hide, False)
    page.wait_for_selector(f"#run-{fake.run_id(79)}")


def test_the_theme_is_chosen_by_keyboard_and_kept(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window("light").page
    page.goto(server.url + "/")
    page.locator("#theme").focus()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.reload()

    expect(page.locator("#theme-name")).to_have_text("dark")
    expect(page.locator("body")).not_to_have_css("background-color", light)


def test_motion_is_reduced_where_it_is_asked_for(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window(reduced_motion="reduce").page
    page.goto(f"{server.url}/runs/{fake.run_id(3)}")

    assert page.evaluate("document.getAnimations().length") == 0


def test_without_scripts_a_form_still_grows_and_starts(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window(java_script_enabled=False).page
    page.goto(server.url + "/workflows/import-orders")
    page.get_by_role("button", name="Add an item to Items").click()
    page.get_by_label("Sku").fill("A-1")
    page.get_by_role("button", name="As JSON").click()
    page.get_by_role("textbox", name="Input").fill('{"customer": "A"}')
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/runs/*")

    assert server.runs.asked == [("start", ("import-orders", {"customer": "A"}, None))]


def test_a_large_value_is_shown_whole_when_asked_for_and_stays(
    server: Any, fake: Any, open_window: Callable[..., Window]
) -> None:
    page = open_window().page
    page.goto(f"{server.url}/runs/{fake.run_id(6)}")
    page.locator("[data-region=run-values] a[data-whole]").first.click()
    page.wait_for_selector(".value[data-kept]")
    changed = fake.large(6).run._replace(key="changed meanwhile")
    server.do(server.runs.keep, fake.replace(fake.large(6), run=changed))
    page.wait_for_selector("text=changed meanwhile")

    # at once: what is kept was marked so after it was there
    assert page.evaluate("document.querySelector('[data-kept] pre').textContent.length") > 1e6
