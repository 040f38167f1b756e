"""What is asked for from a page is done: by the engine here, and on a deployed site."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

from playwright.sync_api import expect

from tests.real.records.site import facts, lay_out
from tests.support.kit_dev import KitDev

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.real.browser.conftest import Window
    from tests.real.rig.rig import Rig

KEY = "the-key-of-the-site"
WORKFLOW = """
import os
from pathlib import Path

from pydantic import BaseModel

from kit import Context, define_workflow

TALLY = Path(os.environ["TALLY"])


class Order(BaseModel):
    number: int = 1
    waits: bool = False
    fails: bool = False


def reserve(number: int) -> int:
    with TALLY.open("a") as tally:
        tally.write(f"{number}\\n")
    return number


@define_workflow(max_retries=0)
async def order(input: Order, context: Context) -> str:
    number = await context.step.run("reserve", reserve, input.number)
    if input.fails and not TALLY.with_name("mended").exists():
        raise ValueError("out of stock")
    if input.waits:
        await context.step.sleep("until-tomorrow", "1 day")
    return f"order {number} is on its way"
"""


@dataclass
class Shop:
    """A dashboard over the runs of `order`, wherever they are."""

    dev: KitDev
    tally: Path

    def reserved(self, number: int) -> int:
        """Return how often the step of the order with *number* has run so far."""
        return self.tally.read_text().split().count(str(number))

    def mend(self) -> None:
        """Have what failed not fail any more."""
        self.tally.with_name("mended").touch()


@pytest.fixture(scope="module", params=["here", "deployed"])
def shop(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_rig: type[Rig],
    link_packages: Callable[[Path], None],
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    root, tally = folder / "shop", folder / "tally"
    (root / ".git").mkdir(parents=True)
    file = root / "functions/workflows/order.py"
    file.parent.mkdir(parents=True)
    file.write_text(WORKFLOW)
    environ = {"TALLY": str(tally), "WORKFLOW_DURABILITY": "normal"}
    with ExitStack() as stack:
        given: tuple[str, ...] = ()
        if request.param == "deployed":
            site = folder / "site"
            site.mkdir()
            functions = lay_out(site, link_packages, [facts("order", max_retries=0)], root)
            rig = stack.enter_context(make_rig(functions, key=KEY, env=environ))
            given, environ = ("--remote", rig.url), {**environ, "WORKFLOW_API_KEY": KEY}
        yield Shop(stack.enter_context(KitDev(root, *given, environ=environ)), tally)


def press(page: Page, name: str) -> None:
    """Press a button, and wait for the page that answers: the old one shows what came of it."""
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def has_status(page: Page, status: str) -> None:
    expect(page.locator(".run-head .status")).to_have_text(status)


def start(page: Page, shop: Shop, number: int, *boxes: str) -> None:
    page.goto(f"{shop.dev.url}/_kit/workflows/order")
    page.get_by_label("Number").fill(str(number))
    for box in boxes:
        page.get_by_label(box).check()
    press(page, "Start")
    page.wait_for_url("**/runs/*")


def test_a_run_is_stopped_retried_begun_anew_run_again_and_deleted(
    shop: Shop, open_window: Callable[..., Window]
) -> None:
    page = open_window().page
    start(page, shop, 1, "Waits")
    has_status(page, "sleeping")
    press(page, "Stop")
    has_status(page, "cancelled")
    press(page, "Retry from last step")
    has_status(page, "sleeping")
    assert shop.reserved(1) == 1
    press(page, "Stop")
    has_status(page, "cancelled")
    press(page, "Retry from start")
    has_status(page, "sleeping")
    assert shop.reserved(1) == 2
    press(page, "Stop")
    has_status(page, "cancelled")

    first = page.url.partition("?")[0]
    page.get_by_role("link", name="Run again with other input").click()
    expect(page.get_by_label("Waits")).to_be_checked()
    page.get_by_label("Waits").uncheck()
    page.get_by_label("Number").fill("2")
    press(page, "Start")
    has_status(page, "completed")
    expect(page.locator("[data-region=run-values]")).to_contain_text("order 2 is on its way")
    assert (shop.reserved(1), shop.reserved(2)) == (2, 1)

    page.goto(first)
    page.get_by_text("Delete…").click()
    press(page, "Delete it")
    page.wait_for_url("**/_kit/")
    run_id = first.rpartition("/")[2]
    expect(page.locator(f"#run-{run_id}")).to_have_count(0)
    page.goto(first)
    expect(page.locator("h1")).to_have_text("Not found")


def test_a_dead_letter_is_found_and_retried_once_its_cause_is_mended(
    shop: Shop, open_window: Callable[..., Window]
) -> None:
    page = open_window().page
    start(page, shop, 3, "Fails")
    has_status(page, "failed")
    expect(page.locator(".run-head + .facts + .panel-bad")).to_contain_text("out of stock")
    page.get_by_role("link", name="Dead letters").click()
    page.locator("tbody .row-link").click()
    shop.mend()
    press(page, "Retry from last step")
    has_status(page, "completed")

    assert shop.reserved(3) == 1


@pytest.mark.parametrize("shop", ["deployed"], indirect=True)
def test_the_key_of_a_site_is_in_no_answer(shop: Shop, open_window: Callable[..., Window]) -> None:
    window = open_window()
    answers: list[str] = []
    window.page.on("request", lambda request: answers.append(str(request.headers)))
    window.page.on("response", lambda response: answers.append(str(response.headers)))
    start(window.page, shop, 4, "Waits")
    has_status(window.page, "sleeping")
    run = window.page.url.partition("/_kit")[2]
    static = Path(__file__).parents[3] / "kit/dev/dashboard/static"
    files = [f"/static/{each.name}" for each in static.iterdir()]
    pages = ["/", "/dead-letters", "/workflows", "/workflows/order", "/nowhere", "/runs/x", run]
    for path in [*files, *pages, f"{run}/value?of=input", f"{run}/value?of=step:reserve"]:
        answer = shop.dev.ask("GET", f"/_kit{path}", with_key=False)
        answers += [str(answer.headers), answer.text]
    answers += [window.page.content(), *regions(window.page), shop.dev.said, str(shop.dev.ready)]

    assert len(answers) > 40
    assert [each for each in answers if KEY in each] == []
    # a site may not have heard of the run yet when its page is first asked for, or may be slow
    waits = ("status of 404", "status of 504")
    assert [each for each in window.complaints if not any(map(each.__contains__, waits))] == []


def regions(page: Page) -> list[str]:
    """Return what a feed brings first: all of its regions."""
    found: list[str] = page.evaluate(
        """() => new Promise((resolve) => {
            const source = new EventSource(document.body.dataset.feed);
            source.addEventListener("regions", ({ data }) => {
                source.close();
                resolve(JSON.parse(data).map(({ html }) => html));
            });
        })"""
    )
    assert len(found) > 3
    return found


@pytest.mark.parametrize("shop", ["deployed"], indirect=True)
def test_a_site_that_refuses_the_key_is_told_of(
    shop: Shop, open_window: Callable[..., Window]
) -> None:
    environ = {"TALLY": os.devnull, "WORKFLOW_API_KEY": "wr0ng-key"}
    site = shop.dev.ready["site"]
    with KitDev(shop.dev.root, "--remote", site, environ=environ) as stranger:
        page = open_window().page
        page.goto(f"{stranger.url}/_kit/")

        expect(page.locator("main")).to_contain_text("Set WORKFLOW_API_KEY")
        assert "wr0ng-key" not in page.content()
