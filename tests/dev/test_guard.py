"""Who is let in, and what goes out with every answer."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kit.dev.app import make_app

from .conftest import ORIGIN, PORT, TOKEN


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode() or "page")


def client_of(port: int) -> httpx.AsyncClient:
    routes = [Route("/", echo, methods=["GET", "POST"])]

    async def rest(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("rest")(scope, receive, send)

    app: Any = make_app(port=port, token=TOKEN, dashboard=routes, site=rest)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


@pytest.fixture
async def site() -> Any:
    async with client_of(PORT) as client:
        yield client


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8888", "localhost:8888", "LOCALHOST:8888", "[::1]:8888"]
)
async def test_this_machines_names_are_answered(site: httpx.AsyncClient, host: str) -> None:
    assert (await site.get("/_kit/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost"])
async def test_at_port_80_a_host_may_do_without_its_port(host: str) -> None:
    async with client_of(80) as site:
        assert (await site.get("/_kit/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:8888", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8888", ""],
)
@pytest.mark.parametrize("path", ["/_kit/", "/"])
async def test_other_names_are_refused(site: httpx.AsyncClient, host: str, path: str) -> None:
    assert (await site.get(path, headers={"host": host})).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:8889",
        "https://127.0.0.1:8888",
        "null",
        "http://127.0.0.1:8888.evil.example",
    ],
)
async def test_other_origins_are_refused(site: httpx.AsyncClient, origin: str) -> None:
    for method in ("GET", "POST"):
        answer = await site.request(
            method, "/_kit/", headers={"origin": origin, "x-kit-token": TOKEN}
        )
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 200),
        ("https://127.0.0.1:3000", 200),
        ("https://127.0.0.1:8888", 403),  # nobody can serve that there
        ("http://evil.example:5173", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ],
)
async def test_functions_and_files_answer_other_ports_of_this_machine(
    site: httpx.AsyncClient, origin: str, status: int
) -> None:
    headers = {"origin": origin, "sec-fetch-site": "same-site"}
    assert (await site.get("/api/x", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            },
            200,
        ),
        (
            {
                "sec-fetch-site": "cross-site",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "iframe",
            },
            403,
        ),
    ],
)
async def test_a_page_of_another_site_may_only_link_here(
    site: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await site.get("/_kit/", headers=headers)).status_code == status


async def test_a_form_of_another_site_is_refused_even_with_the_token(
    site: httpx.AsyncClient,
) -> None:
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    answer = await site.post("/_kit/", data={"token": TOKEN}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"headers": {"x-kit-token": TOKEN}}, 200),
        ({"data": {"token": TOKEN, "more": "é"}}, 200),
        ({"headers": {"x-kit-token": "wrong"}, "data": {"token": TOKEN}}, 403),
        ({"data": {"token": "wrong"}}, 403),
        ({"data": {"token": "é"}}, 403),
        ({"json": {"token": TOKEN}}, 403),
        ({"content": b"\xff"}, 403),
        ({}, 403),
    ],
)
async def test_what_changes_something_needs_the_token(
    site: httpx.AsyncClient, sent: dict[str, Any], status: int
) -> None:
    answer = await site.post("/_kit/", **sent)
    assert answer.status_code == status


async def test_a_form_is_handed_on_whole(site: httpx.AsyncClient) -> None:
    answer = await site.post("/_kit/", data={"token": TOKEN, "more": "é"})
    assert answer.text == f"token={TOKEN}&more=%C3%A9"


@pytest.mark.parametrize(
    "path",
    ["/../kit.yaml", "/_kit/../x", "/a/%2e%2e/b", "/%2e%2e%2fx", "/%252e%252e/x", "/a\\b", "/a%00"],
)
async def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    app = make_app(port=PORT, token=TOKEN, dashboard=())
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "headers": [(b"host", b"127.0.0.1:8888")],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_pages_may_not_be_embedded_nor_run_what_is_not_theirs(
    site: httpx.AsyncClient,
) -> None:
    headers = (await site.get("/_kit/")).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


async def test_a_projects_own_answers_keep_their_headers(site: httpx.AsyncClient) -> None:
    headers = (await site.get("/x")).headers
    assert "content-security-policy" not in headers
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_window_onto_a_deployed_site_leads_to_its_dashboard() -> None:
    app: Any = make_app(port=PORT, token=TOKEN, dashboard=[Route("/", echo)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        assert (await client.get("/")).headers["location"] == "/_kit/"
        assert (await client.get("/_kit")).headers["location"] == "/_kit/"
        assert (await client.get("/.netlify/functions/x")).status_code == 404
