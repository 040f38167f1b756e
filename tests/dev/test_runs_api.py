"""The runs API: the paths and JSON of a deployed site's, over the runs here."""

from typing import Any

import httpx
import jsonschema
import pytest

from kit.dev.local import LocalRuns
from kit.model.event import derived_id
from kit.project.schemas import run_schema

from .conftest import ended, until

API = "/.netlify/functions/kit-runs"
NOBODY = derived_id("nobody")


async def test_a_run_is_shown_as_the_schema_says(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    for data in ("you", "fail"):
        run_id = await runs.start("hello", data)
        await ended(runs, run_id)
        answer = await site.get(f"{API}/{run_id}")
        assert answer.headers["x-kit-runs"] == "1"
        jsonschema.validate(answer.json(), run_schema())
    assert answer.json()["error"]["message"] == "no more"
    assert len(answer.json()["attempts"]) == 1


async def test_runs_are_listed_page_by_page(site: httpx.AsyncClient, runs: LocalRuns) -> None:
    started = {await runs.start("hello", number) for number in range(5)}
    bad = await runs.start("hello", "fail")
    await ended(runs, bad)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await site.get(API, params=query)).json()
        seen += [run["id"] for run in page["runs"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert sorted(seen) == sorted({*started, bad})
    [failed] = (await site.get(API, params={"status": "failed,cancelled"})).json()["runs"]
    assert (failed["id"], failed["error"]["traceback"]) == (bad, "")
    assert (await site.get(API, params={"workflow": "HELLO"})).json()["runs"] != []
    assert (await site.get(API, params={"since": failed["createdAt"] + 1})).json()["runs"] == []


async def test_a_run_is_stopped_tried_again_and_deleted(
    site: httpx.AsyncClient, runs: LocalRuns
) -> None:
    run_id = await runs.start("hello", "nap")

    async def status() -> str:
        return str((await site.get(f"{API}/{run_id}/result")).json()["status"])

    async def sleeps() -> bool:
        return await status() == "sleeping"

    await until(sleeps)
    for method, path in (("POST", "/retry"), ("DELETE", "")):
        answer = await site.request(method, f"{API}/{run_id}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "RUN_NOT_ENDED")
    answer = await site.post(f"{API}/{run_id.upper()}/stop")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await site.post(f"{API}/{run_id}/retry", json={"fromStart": True})).status_code == 202
    await until(sleeps)
    await site.post(f"{API}/{run_id}/stop")
    assert (await site.delete(f"{API}/{run_id}")).json() == {"deleted": [run_id]}
    assert (await site.get(f"{API}/{run_id}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/{NOBODY}", 404, "RUN_NOT_FOUND"),
        ("GET", f"/{NOBODY}/result", 404, "RUN_NOT_FOUND"),
        ("POST", f"/{NOBODY}/stop", 404, "RUN_NOT_FOUND"),
        ("POST", f"/{NOBODY}/retry", 404, "RUN_NOT_FOUND"),
        ("DELETE", f"/{NOBODY}", 404, "RUN_NOT_FOUND"),
        ("POST", f"/{NOBODY}/signal", 501, "NOT_SUPPORTED_SIGNAL"),
        ("POST", "/try-store", 501, "NOT_SUPPORTED_STORE"),
        ("GET", "/try-store", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/x", 400, "INVALID_ID"),
        ("GET", "/" + "x" * 10_000, 400, "INVALID_ID"),
        ("GET", f"/{NOBODY}/other", 404, "NOT_FOUND"),
        ("GET", f"/{NOBODY}/stop/more", 404, "NOT_FOUND"),
        ("PUT", "", 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/{NOBODY}/stop", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "?colour=red", 400, "INVALID_QUERY"),
        ("GET", "?status=unknown", 400, "INVALID_QUERY"),
        ("GET", "?limit=101", 400, "INVALID_QUERY"),
        ("GET", "?since=-1", 400, "INVALID_QUERY"),
    ],
)
async def test_what_is_wrong_is_json(
    site: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await site.request(method, API + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status"), [("[]", 400), ("{", 400), ('{"fromStart": 1}', 400), ("x" * 10_001, 413)]
)
async def test_an_odd_body_is_refused(site: httpx.AsyncClient, body: str, status: int) -> None:
    answer = await site.post(f"{API}/{NOBODY}/retry", content=body)
    assert answer.status_code == status


async def test_a_key_that_is_set_is_wanted(site: httpx.AsyncClient, keys: list[str]) -> None:
    keys.append("right")
    assert (await site.get(API)).json()["error"]["code"] == "UNAUTHORIZED"
    answer = await site.get(API, headers={"authorization": "Bearer right"})
    assert answer.json() == {"runs": [], "next": None}
