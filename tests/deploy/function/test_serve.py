"""HTTP functions without Node: requests become ASGI, responses become frames."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse

from kit.deploy.function import exchange as exchange_module
from kit.deploy.function.exchange import Exchange
from kit.deploy.function.lifespan import Lifespan
from kit.deploy.function.methods import to_response
from kit.deploy.function.protocol import Body, Gone, Request, Took
from kit.deploy.function.scope import mounted_at, path_params, scope_of
from kit.deploy.function.serve import answer
from kit.model.errors import PayloadError, WorkflowNotFoundError
from kit.model.run import RunStatus

URL = "https://shop.example/api/thing"


class Thing(BaseModel):
    name: str


def request(method: str = "GET", url: str = URL, **more: Any) -> Request:
    return Request(1, function=more.pop("function", "thing"), method=method, url=url, **more)


class Answered:
    """One exchange and all that was said."""

    def __init__(self, asked: Request) -> None:
        self.frames: list[Any] = []
        self.logs: list[str] = []
        self.exchange = Exchange(asked, self.frames.append)

    @property
    def status(self) -> int:
        return int(self.frames[0]["status"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        return list(self.frames[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(b64decode(each["data"]) for each in self.frames if "data" in each)


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


async def begin(send: Any, status: int = 200) -> None:
    headers = [(b"connection", b"close"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


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


async def test_a_body_waits_until_enough_was_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange_module, "PIECE", 10)
    answered = Answered(request())
    await begin(answered.exchange.say)
    body = {"type": "http.response.body", "body": b"x" * 500}
    writing = asyncio.create_task(answered.exchange.say(body))

    await asyncio.sleep(0.01)
    assert len(answered.frames) == exchange_module.WINDOW
    answered.exchange.receive(Took(1))
    await asyncio.sleep(0.01)
    assert len(answered.frames) == exchange_module.WINDOW + 1
    answered.exchange.receive(Gone(1))  # nobody reads any more: nobody need wait
    await writing

    assert answered.exchange.ended


async def test_a_large_body_is_not_copied_again_for_each_piece(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange_module, "PIECE", 4_096)
    taken = 0

    def take(frame: Mapping[str, Any]) -> None:
        nonlocal taken
        taken += len(frame["data"])
        exchange.receive(Took(1))

    exchange = Exchange(request(), take)
    await begin(exchange.say)
    # 16,384 pieces: if each copied the rest, these were 500 GB
    await exchange.say({"type": "http.response.body", "body": bytes(64 * 2**20)})

    assert taken >= 64 * 2**20 * 4 / 3


async def test_a_request_body_arrives_piece_by_piece():
    answered = Answered(request("POST", has_body=True))
    asked = answered.exchange
    first = asyncio.create_task(asked.ask())
    await asyncio.sleep(0)
    asked.receive(Body(1, b"one"))
    asked.receive(Body(1, b"two"))

    assert await first == {"type": "http.request", "body": b"one", "more_body": True}
    asked.receive(Body(1, is_last=True))
    assert await asked.ask() == {"type": "http.request", "body": b"two", "more_body": False}
    assert answered.frames == [{"type": "took", "call": 1}] * 2
    asked.receive(Gone(1))
    assert await asked.ask() == {"type": "http.disconnect"}


async def test_an_empty_body_is_asked_for_once():
    asked = Answered(request()).exchange

    assert await asked.ask() == {"type": "http.request", "body": b"", "more_body": False}
    waiting = asyncio.create_task(asked.ask())
    await begin(asked.say)
    await asked.say({"type": "http.response.body"})
    assert await waiting == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("function", "path", "mount"),
    [
        ("thing", "/api/thing", "/api/thing"),
        ("thing", "/api/thing/a/b", "/api/thing"),
        ("shop/[id]", "/api/shop/7/a", "/api/shop/7"),
    ],
)
def test_an_application_is_mounted_where_its_function_is(function: str, path: str, mount: str):
    asked = request(url=f"https://shop.example{path}", function=function)

    assert mounted_at(asked) == mount


def test_parameters_come_from_the_platform_or_the_path():
    url = "https://shop.example/api/shop/a%20b/x"

    assert path_params(request(url=url, function="shop/[id]/[what]")) == {"id": "a b", "what": "x"}
    assert path_params(request(url=url, function="shop/[id]", params={"id": "7"})) == {"id": "7"}


def test_a_scope_says_what_asgi_wants():
    asked = request(
        "POST", "http://shop.example:81/api/thing?a=%20", headers=(("X-One", "é"),), client=None
    )

    assert scope_of(asked, "/api/thing") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/thing/",
        "raw_path": b"/api/thing/",
        "query_string": b"a=%20",
        "root_path": "/api/thing",
        "headers": [(b"host", b"shop.example:81"), (b"x-one", b"\xe9")],
        "client": None,
        "server": ("shop.example", 81),
    }


async def test_a_lifespan_starts_once_and_keeps_its_state():
    started: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        started.append(asyncio.current_task())
        scope["state"]["pool"] = "ready"
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.startup.complete"})
        await receive()

    lifespan = Lifespan(app)
    await asyncio.gather(lifespan.start(), lifespan.start())
    await lifespan.start()

    assert (len(started), lifespan.state) == (1, {"pool": "ready"})
    started[0].cancel()  # a lifespan does not end by itself


async def test_a_startup_that_fails_is_an_error_every_time():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    lifespan = Lifespan(app)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="did not start: no database"):
            await lifespan.start()


async def test_an_application_may_know_no_lifespan():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    await Lifespan(app).start()
