"""What the pages say, and what they let happen."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from kit.dev.dashboard.render import STATIC
from kit.dev.dashboard.routes import HEADERS, routes
from kit.dev.runs import Source

if TYPE_CHECKING:
    from tests.dev.dashboard.fake import FakeRuns
from .conftest import Read

ADDRESSES = ("/", "/dead-letters", "/workflows", "/workflows/import-orders", "/workflows/tidy-up")


async def test_the_list_shows_each_run_with_its_status(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    page = read((await site.get("/_kit/")).text)

    for run_id, details in runs.kept.items():
        assert run_id[:8] in page.text
        assert details.run.status in page.text


async def test_every_page_may_run_its_own_files_only_and_be_in_no_frame(
    site: httpx.AsyncClient, fake: Any
) -> None:
    for address in (*ADDRESSES, f"/runs/{fake.run_id(4)}", "/nothing-here", "/runs/x/value"):
        response = await site.get("/_kit" + address)

        assert response.headers["content-security-policy"] == HEADERS["content-security-policy"]
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cache-control"] == "no-store"


async def test_no_page_has_a_script_or_a_style_within_it(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    """The policy would refuse them, so that they would silently not work."""
    for address in (*ADDRESSES, *(f"/runs/{run_id}" for run_id in runs.kept)):
        for tag, attributes in read((await site.get("/_kit" + address)).text).tags:
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            assert tag != "style"
            assert tag != "script" or attributes["src"]


async def test_what_a_workflow_says_is_text_and_never_markup(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any, read: Read
) -> None:
    wrong = replace(fake.BROKEN, name=fake.HOSTILE, error=fake.HOSTILE, traceback=fake.HOSTILE)
    runs.infos = (*runs.infos, wrong)
    runs.source = Source("site", fake.HOSTILE)
    run_id = fake.run_id(4)
    for address in (*ADDRESSES, f"/runs/{run_id}", f"/?text={fake.HOSTILE}", f"/{fake.HOSTILE}"):
        page = read((await site.get("/_kit" + address)).text)

        assert "<img src=x onerror=alert(1)>" in page.text
        assert not any(
            tag == "img" and attributes.get("src") == "x" for tag, attributes in page.tags
        )
        assert not any(tag == "b" and "onerror" in str(attributes) for tag, attributes in page.tags)


async def test_nothing_yet_says_how_to_start_one(site: httpx.AsyncClient, runs: FakeRuns) -> None:
    runs.kept.clear()

    assert "Start publish-draft" in (await site.get("/_kit/")).text

    runs.infos = ()
    assert "functions/workflows" in (await site.get("/_kit/")).text
    assert "No dead letters" in (await site.get("/_kit/dead-letters")).text


async def test_a_run_that_no_file_is_there_for_says_what_it_waits_for(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    said = "No file here defines"
    for number in (2, 8):
        assert said not in (await site.get(f"/_kit/runs/{fake.run_id(number)}")).text
    runs.infos = tuple(info for info in runs.infos if info.name != "daily-report")
    assert said in (await site.get(f"/_kit/runs/{fake.run_id(2)}")).text
    assert said not in (await site.get(f"/_kit/runs/{fake.run_id(8)}")).text  # it has ended
    runs.source = Source("local", ".kit/runs.db", 4242)
    assert said not in (await site.get(f"/_kit/runs/{fake.run_id(2)}")).text


async def test_a_filter_that_fits_nothing_says_so(site: httpx.AsyncClient) -> None:
    assert "No run fits" in (await site.get("/_kit/?status=failed&text=nowhere")).text


async def test_thousands_of_runs_come_a_page_at_a_time(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any, read: Read
) -> None:
    runs.keep(*fake.many(10_000))
    first = read((await site.get("/_kit/?workflow=publish-draft")).text)
    (older,) = [a["href"] for tag, a in first.tags if tag == "a" and a.get("rel") == "next"]
    second = read((await site.get("/_kit/" + older.removeprefix("/_kit/"))).text)

    def shown(page: Any) -> set[str]:
        return {a["id"] for tag, a in page.tags if tag == "tr" and "id" in a}

    assert len(shown(first)) == len(shown(second)) == 50
    assert not shown(first) & shown(second)
    assert "workflow=publish-draft" in older


async def test_a_file_that_is_wrong_is_told_everywhere_and_explained_in_one_place(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    runs.infos = (*runs.infos, fake.BROKEN)

    assert "cannot be loaded" in (await site.get("/_kit/")).text
    assert "was never closed" in (await site.get("/_kit/workflows")).text
    assert "last good version" in (await site.get("/_kit/workflows/send-invoice")).text


async def test_what_is_wrong_comes_first_among_the_workflows(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any, read: Read
) -> None:
    wrong = replace(fake.BROKEN, name="zz-last")
    runs.infos = (*runs.infos, wrong)
    text = read((await site.get("/_kit/workflows")).text).text

    assert text.index("zz-last") < min(text.index(info.name) for info in runs.infos[:-1])


@pytest.mark.parametrize(
    "name", ["..", "../../etc", "x/./y", "~", "~../~~", "a b?c#d%2e/é&x=1", "a//b", "end/", "..."]
)
async def test_a_workflow_has_a_page_whatever_it_is_called(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read, name: str
) -> None:
    runs.infos = (replace(runs.infos[0], name=name),)
    runs.kept.clear()
    tags = read((await site.get("/_kit/workflows")).text).tags
    [link, *_] = [
        attributes["href"]
        for tag, attributes in tags
        if tag == "a" and (attributes["href"] or "").startswith("/_kit/workflows/")
    ]
    page = await site.get(urljoin("http://127.0.0.1:8888/", link))  # as a browser takes it
    form = next(attributes for tag, attributes in read(page.text).tags if tag == "form")
    sent = await site.post(urljoin("http://127.0.0.1:8888/", form["action"]), data={"do": "start"})

    assert (page.status_code, sent.status_code) == (200, 303)
    assert [given[0] for what, given in runs.asked if what == "start"] == [name]


async def test_it_says_whose_runs_these_are(site: httpx.AsyncClient, runs: FakeRuns) -> None:
    runs.source = Source("local", ".kit/runs.db", 4242)
    assert "Another process, <b>4242</b>" in (await site.get("/_kit/")).text

    runs.source = Source("site", "https://my-site.netlify.app")
    assert "a deployed site" in (await site.get("/_kit/")).text


async def test_a_full_disk_is_told_of_on_every_page(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    runs.source = Source("local", ".kit/runs.db", None, "the disk is full")
    for address in ADDRESSES:
        text = read((await site.get(f"/_kit{address}")).text).text
        assert "Nothing can be stored now: the disk is full" in text


@pytest.mark.parametrize("path", ["/runs/nope", "/workflows/nope", "/nope", "/runs/", "/static/no"])
async def test_what_is_not_there_is_not_found(site: httpx.AsyncClient, path: str) -> None:
    assert (await site.get("/_kit" + path)).status_code == 404


async def test_a_cursor_from_elsewhere_leads_to_the_first_page(site: httpx.AsyncClient) -> None:
    response = await site.get("/_kit/?from=elsewhere")

    assert (response.status_code, response.headers["location"]) == (303, "/_kit/")


async def test_every_form_that_changes_something_brings_the_token(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    for address in (*ADDRESSES, *(f"/runs/{run_id}" for run_id in runs.kept)):
        tags = read((await site.get("/_kit" + address)).text).tags
        posts = sum(tag == "form" and a.get("method") == "post" for tag, a in tags)
        tokens = [a for tag, a in tags if tag == "input" and a.get("name") == "token"]

        assert [a["value"] for a in tokens] == ["a-token-nobody-guesses"] * posts


async def test_the_files_a_page_names_are_there(site: httpx.AsyncClient, read: Read) -> None:
    page = read((await site.get("/_kit/")).text)
    named = {
        a.get("src") or a.get("href") for tag, a in page.tags if tag in ("script", "link", "img")
    }
    for path in named:
        assert (await site.get(path)).status_code == 200


async def test_every_icon_used_is_drawn(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "icons.svg").read_text()))
    for address in (*ADDRESSES, *(f"/runs/{run_id}" for run_id in runs.kept)):
        tags = read((await site.get("/_kit" + address)).text).tags
        used = {a["href"].partition("#")[2] for tag, a in tags if tag == "use"}

        assert used <= drawn


async def test_a_page_is_drawn_in_a_fraction_of_a_second(
    site: httpx.AsyncClient, fake: Any
) -> None:
    """Of processor time, generously: slow would be a page whose size grows with the run's."""
    for address in ("/", f"/runs/{fake.run_id(5)}", f"/runs/{fake.run_id(6)}"):
        began = time.process_time()
        await site.get("/_kit" + address)
        assert time.process_time() - began < 2


async def test_a_page_says_that_its_site_keeps_it_waiting(runs: FakeRuns, fake: Any) -> None:
    never = asyncio.Event()

    async def page(**_: Any) -> Any:
        await never.wait()

    runs.source = Source("site", "https://site.example")
    runs.page = page  # type: ignore[method-assign]
    pages = routes(runs, token="t", now=lambda: fake.NOW, patience=0)
    transport = httpx.ASGITransport(app=Starlette(routes=[Mount("/_kit", routes=pages)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get("/_kit/?status=failed")

    assert response.status_code == 504
    assert "https://site.example has not answered yet" in response.text
    assert "at=%2F%3Fstatus%3Dfailed&amp;awaited=1" in response.text
