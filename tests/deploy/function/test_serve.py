"""HTTP functions without Node: requests become ASGI, responses become frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse

from kit.deploy.function.methods import to_response
from kit.deploy.function.protocol import Request
from kit.deploy.function.serve import answer
from kit.model.errors import PayloadError, WorkflowNotFoundError
from kit.model.run import RunStatus
from tests.support.http_function import URL, Answered, begin, request


class Thing(BaseModel):
    name: str


Ask = Callable[..., Any]


async def ask(
    asked: Request | None = None, *, time_left: float | None = 5, **members: Any
) -> Answered:
    """Ask a module that has *members*."""
    asked = asked or request()
    module = ModuleType("thing")
    vars(module).update(members)
    answered = Answered(asked)
    end = await answer(asked, answered.exchange, lambda _: module, time_left, answered.logs.append)
    answered.frames.append(end)
    return answered


async def test_a_small_response_is_two_frames():
    answered = await ask(get=lambda: {"a": [1, None]})

    assert [each["type"] for each in answered.frames] == ["head", "end"]
    assert json.loads(answered.body) == {"a": [1, None]}


async def test_a_function_may_do_without_the_request():
    async def get() -> str:
        return "alone"

    assert (await ask(get=get)).body == b"alone"


@pytest.mark.parametrize(
    ("value", "kind", "body"),
    [
        ({"é": 1}, "application/json", '{"é":1}'.encode()),
        ([Thing(name="a")], "application/json", b'[{"name":"a"}]'),
        (Thing(name="a"), "application/json", b'{"name":"a"}'),
        (7, "application/json", b"7"),
        ("é", "text/plain; charset=utf-8", "é".encode()),
        (RunStatus.QUEUED, "text/plain; charset=utf-8", b"queued"),
        ({"status": RunStatus.QUEUED}, "application/json", b'{"status":"queued"}'),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff"),
    ],
)
def test_what_a_function_returns_has_a_kind(value: object, kind: str, body: bytes):
    response = to_response(value)

    assert (response.headers["content-type"], response.body) == (kind, body)


def test_a_response_and_nothing_are_what_they_are():
    response = JSONResponse({})

    assert to_response(response) is response
    assert to_response(None).status_code == 204


async def test_a_method_without_a_function_is_refused_with_those_there_are():
    answered = await ask(request("PUT"), get=lambda: 1, delete=lambda: None)

    assert answered.status == 405
    assert ("allow", "GET, DELETE, HEAD") in answered.headers


async def test_head_has_the_headers_of_get_and_no_body():
    answered = await ask(request("HEAD"), get=lambda: "text")

    assert (answered.status, answered.body) == (200, b"")
    assert ("content-length", "4") in answered.headers


async def test_a_function_is_given_what_was_asked():
    async def post(asked: StarletteRequest) -> dict[str, object]:
        return {
            "query": dict(asked.query_params),
            "cookie": asked.cookies["a"],
            "client": asked.client.host if asked.client else None,
            "raw": asked.scope["raw_path"].decode(),
            "params": asked.path_params,
            "body": (await asked.body()).decode(),
        }

    asked = request(
        "POST",
        f"{URL}/%C3%A9?q=1",
        headers=(("cookie", "a=b"), ("X-Other", "1")),
        function="thing/[id]",
        client="192.0.2.1",
    )
    answered = await ask(asked, post=post)

    assert json.loads(answered.body) == {
        "query": {"q": "1"},
        "cookie": "b",
        "client": "192.0.2.1",
        "raw": "/api/thing/%C3%A9",
        "params": {"id": "é"},
        "body": "",
    }


async def test_invalid_input_is_told_to_the_client():
    def get() -> None:
        raise PayloadError("it is invalid", issues=[{"loc": ["a"]}])

    answered = await ask(get=get)

    assert answered.status == 400
    assert json.loads(answered.body)["error"]["details"] == {"issues": [{"loc": ["a"]}]}


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), WorkflowNotFoundError("secret"), TimeoutError("secret")]
)
async def test_other_errors_are_told_to_the_log_only(error: Exception):
    def get() -> None:
        raise error

    answered = await ask(get=get)

    assert (answered.status, answered.body) == (500, b"Internal Server Error")
    assert answered.logs[0].startswith("GET /api/thing\nTraceback")
    assert "secret" in answered.logs[0]


async def test_a_module_without_functions_is_an_error_that_says_so():
    answered = await ask(helper=lambda: None)

    assert answered.status == 500
    assert "has neither `app` nor a function" in answered.logs[0]


async def test_what_takes_too_long_is_504():
    async def get() -> None:
        await asyncio.sleep(10)

    answered = await ask(get=get, time_left=0.05)

    assert (answered.status, answered.body) == (504, b"Gateway Timeout")
    assert "cut off after 0.05 s, its limit" in answered.logs[0]


def app_of(work: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await work(scope, receive, send)
        else:
            raise RuntimeError("no lifespan here")

    return app


async def test_a_head_that_was_not_sent_gives_way_to_an_error():
    async def work(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        raise RuntimeError("after all")

    answered = await ask(app=app_of(work))

    assert answered.status == 500


async def test_a_response_that_has_begun_is_broken_off():
    async def work(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("after all")

    answered = await ask(app=app_of(work))

    assert [each["type"] for each in answered.frames] == ["head", "failed"]
    assert answered.frames[-1]["error"]["message"] == "after all"


async def test_headers_of_the_connection_are_not_the_applications():
    async def work(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await send({"type": "http.response.body"})

    assert (await ask(app=app_of(work))).headers == [("set-cookie", "a"), ("set-cookie", "b")]


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body"}],
        [{"type": "http.response.start", "status": 200}] * 2,
        [
            {"type": "http.response.start", "status": 200},
            {"type": "http.response.body"},
            {"type": "http.response.body"},
        ],
        [{"type": "http.response.dance"}],
        [],
    ],
)
async def test_an_application_that_breaks_the_protocol_is_told(messages: list[dict[str, Any]]):
    async def work(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(dict(message))

    answered = await ask(app=app_of(work))

    assert "the application" in answered.logs[0]
