"""What is asked for in a form, and where that leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kit.model.errors import PayloadError

if TYPE_CHECKING:
    from tests.dev.dashboard.fake import FakeRuns
from .conftest import Read


@pytest.mark.parametrize(
    ("number", "action", "asked", "leads_to"),
    [
        (2, "stop", "stop", "?note=stop"),
        (1, "stop", "stop", "?note=stop-late"),
        (4, "retry", "retry", "?note=retry"),
        (4, "restart", "restart", "?note=restart"),
        (3, "restart", "restart", "?note=retry-late"),
        (3, "delete", "delete", "?note=delete-late"),
    ],
)
async def test_an_action_is_asked_for_and_leads_back(
    site: httpx.AsyncClient,
    runs: FakeRuns,
    fake: Any,
    number: int,
    action: str,
    asked: str,
    leads_to: str,
) -> None:
    run_id = fake.run_id(number)
    response = await site.post(f"/_kit/runs/{run_id}/{action}")

    assert runs.asked == [(asked, run_id)]
    assert response.headers["location"] == f"/_kit/runs/{run_id}{leads_to}"
    assert (await site.get(response.headers["location"])).status_code == 200


async def test_a_deleted_run_leads_to_the_list(site: httpx.AsyncClient, fake: Any) -> None:
    response = await site.post(f"/_kit/runs/{fake.run_id(4)}/delete")

    assert (response.status_code, response.headers["location"]) == (303, "/_kit/")


async def test_an_action_nobody_knows_or_on_no_run_is_refused(
    site: httpx.AsyncClient, fake: Any
) -> None:
    assert (await site.post(f"/_kit/runs/{fake.run_id(1)}/explode")).status_code == 404
    assert (await site.post("/_kit/runs/nope/stop")).status_code == 404
    assert (await site.post("/_kit/workflows/nope")).status_code == 404


async def test_a_workflow_is_started_with_what_its_form_says(
    site: httpx.AsyncClient, runs: FakeRuns
) -> None:
    entries = {"do": "start", "input:/title": "Ship it", "key": "once"}
    response = await site.post("/_kit/workflows/publish-draft", data=entries)

    assert runs.asked == [("start", ("publish-draft", {"title": "Ship it"}, "once"))]
    assert response.status_code == 303
    assert response.headers["location"].startswith("/_kit/runs/")


async def test_a_workflow_without_input_is_started_with_none(
    site: httpx.AsyncClient, runs: FakeRuns
) -> None:
    await site.post("/_kit/workflows/tidy-up", data={"do": "start"})

    assert runs.asked == [("start", ("tidy-up", None, None))]


async def test_invalid_input_is_said_at_its_field_and_kept(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    runs.refuses = PayloadError(
        "the input of 'publish-draft' is invalid", issues=[{"loc": ("title",), "msg": "too short"}]
    )
    response = await site.post("/_kit/workflows/publish-draft", data={"input:/title": "S"})
    page = read(response.text)
    (field,) = [a for tag, a in page.tags if a.get("id") == "field-title"]

    assert response.status_code == 422
    assert (field["value"], field["aria-invalid"]) == ("S", "true")
    assert field["aria-describedby"] == "field-title-problem"
    assert "too short" in page.text


async def test_a_form_grows_an_item_without_a_script(
    site: httpx.AsyncClient, runs: FakeRuns, read: Read
) -> None:
    entries = {"do": "add:/items", "count:/items": "0", "input:/customer": "A"}
    page = read((await site.post("/_kit/workflows/import-orders", data=entries)).text)
    names = {a.get("name"): a.get("value") for _, a in page.tags}

    assert names["input:/items/0/count"] == "1"
    assert names["input:/customer"] == "A"
    assert runs.asked == []


async def test_run_again_fills_the_form_with_the_runs_own_input(
    site: httpx.AsyncClient, fake: Any, read: Read
) -> None:
    page = read((await site.get(f"/_kit/workflows/publish-draft?again={fake.run_id(1)}")).text)
    values = {a.get("name"): a.get("value") for _, a in page.tags}

    assert values["input:/title"] == "Ship weekly digest"


async def test_what_is_no_form_is_refused(site: httpx.AsyncClient, runs: FakeRuns) -> None:
    flood = "&".join(f"a{number}=" for number in range(20_000))
    for body in (b"input:/title=%ff\xff", flood.encode()):
        assert (await site.post("/_kit/workflows/publish-draft", content=body)).status_code == 400

    assert runs.asked == []
