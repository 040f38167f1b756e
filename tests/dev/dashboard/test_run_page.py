"""What the page of one run shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kit.dev.runs import Capabilities, Source
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import WorkflowError
from kit.model.failure import Failure

if TYPE_CHECKING:
    from tests.dev.dashboard.fake import FakeRuns
from .conftest import Read
from .test_pages import ADDRESSES


async def test_what_was_sent_or_cut_off_is_shown(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    details = fake.completed()
    sent = Checkpoint(f"kit:send:{fake.run_id(9)}", CheckpointKind.SEND, None, 1, 1)
    cut = sent._replace(step_id="slow", kind="cut-off")
    runs.keep(replace(details, checkpoints=(sent, cut)))
    text = (await site.get(f"/_kit/runs/{details.run.id}")).text

    assert f'<a href="/_kit/runs/{fake.run_id(9)}">The run it started</a>' in text
    assert "cut off" in text


async def test_what_a_step_was_given_is_shown_while_it_runs_and_after(
    site: httpx.AsyncClient, fake: Any, read: Read
) -> None:
    text = read((await site.get(f"/_kit/runs/{fake.run_id(3)}")).text).text

    assert "parse('s3://orders/2026-11-26.csv', strict=True)" in text
    assert "charge(Order(id=1044, total=Decimal('42.50')), card='…4242')" in text


async def test_a_failed_run_shows_its_error_and_traceback(
    site: httpx.AsyncClient, fake: Any, read: Read
) -> None:
    text = read((await site.get(f"/_kit/runs/{fake.run_id(4)}")).text).text

    assert "ValueError" in text
    assert "import_orders.py" in text
    assert "Retry from last step" in text


@pytest.mark.parametrize(
    ("number", "offered"),
    [
        (1, {"restart", "delete"}),
        (2, {"stop"}),
        (3, {"stop"}),
        (4, {"retry", "restart", "delete"}),
        (7, {"stop"}),
        (8, {"retry", "restart", "delete"}),
    ],
)
async def test_what_makes_no_sense_for_a_run_is_not_offered(
    site: httpx.AsyncClient, fake: Any, read: Read, number: int, offered: set[str]
) -> None:
    run_id = fake.run_id(number)
    page = read((await site.get(f"/_kit/runs/{run_id}")).text)
    actions = {attributes["action"] for tag, attributes in page.tags if tag == "form"}

    assert actions - {f"/_kit/runs/{run_id}"} == {f"/_kit/runs/{run_id}/{each}" for each in offered}


async def test_what_a_source_cannot_do_is_not_offered(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any, read: Read
) -> None:
    runs.capabilities = Capabilities(
        start=False,
        stop=False,
        retry=False,
        retry_from_start=False,
        delete=False,
        reasons={"start": "the site has no key"},
    )
    for number in range(1, 9):
        page = read((await site.get(f"/_kit/runs/{fake.run_id(number)}")).text)
        assert not any(attributes.get("method") == "post" for _, attributes in page.tags)

    assert "the site has no key" in (await site.get("/_kit/workflows/publish-draft")).text


async def test_a_megabyte_is_folded_and_sent_whole_when_asked_for(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    run_id = fake.run_id(6)
    page = await site.get(f"/_kit/runs/{run_id}")
    whole = await site.get(f"/_kit/runs/{run_id}/value?of=step:convert&download")

    assert len(page.text) < 60_000
    assert "Show all (1.1 MB)" in page.text
    assert whole.text == runs.kept[run_id].run.result
    assert whole.headers["content-type"].startswith("text/plain")
    assert "attachment" in whole.headers["content-disposition"]


@pytest.mark.parametrize("of", ["input", "result"])
async def test_input_and_result_can_be_had_whole(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any, of: str
) -> None:
    run = runs.kept[fake.run_id(1)].run
    response = await site.get(f"/_kit/runs/{run.id}/value?of={of}")

    assert response.text == (run.data if of == "input" else run.result)


async def test_a_run_of_a_thousand_steps_is_a_page_of_a_hundred(
    site: httpx.AsyncClient, fake: Any, read: Read
) -> None:
    page = await site.get(f"/_kit/runs/{fake.run_id(5)}?rows=1")

    assert "page-0100" in page.text
    assert "page-0101" not in page.text
    assert len(page.text) < 250_000


async def test_nothing_a_run_holds_turns_a_line_around_or_is_unseen(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    turned = "exe.\u202etxt\u200b\x9b"
    details = fake.failed(40)
    failure = Failure("Odd", turned)
    run = details.run._replace(data=f'"{turned}"', failure=failure, workflow=turned)
    runs.keep(replace(details, run=run))
    runs.source = Source("local", turned)
    for address in (
        *ADDRESSES,
        f"/runs/{run.id}",
        f"/runs/{run.id}/value?of=input",
        f"/feed?look&at=/runs/{run.id}",
        f"/feed?look&at=/{turned}",
        f"/{turned}",
    ):
        text = (await site.get("/_kit" + address)).text

        assert not {"\u202e", "\u200b", "\x9b"} & set(text)
    assert r"exe.\u202etxt\u200b\x9b" in text


async def test_a_value_is_downloaded_and_comes_back_from_a_form_as_it_is(
    site: httpx.AsyncClient, runs: FakeRuns, fake: Any
) -> None:
    details = fake.completed(41)
    runs.keep(replace(details, run=details.run._replace(data='"a\u202eb"')))
    whole = await site.get(f"/_kit/runs/{details.run.id}/value?of=input&download")
    form = await site.get(f"/_kit/workflows/{details.run.workflow}?again={details.run.id}&as=json")

    assert whole.text == '"a\u202eb"'
    assert "&#34;a\u202eb&#34;" in form.text


async def test_an_error_that_begins_with_an_address_keeps_it_as_it_is(
    site: httpx.AsyncClient, runs: FakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    for message, shown in (
        ("https://site.example is down", "https://site.example is down"),
        ("there is nothing", "There is nothing"),
    ):

        async def details(run_id: str, said: str = message) -> None:
            raise WorkflowError(said, http_status=502)

        monkeypatch.setattr(runs, "details", details)
        response = await site.get("/_kit/runs/x")
        assert response.status_code == 502
        assert f'<p class="message">{shown}</p>' in response.text
