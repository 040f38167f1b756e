"""
HTTP functions: a module with `get`, `post`, … or an ASGI `app` answers a request.

Starlette is imported for modules of the first kind only, when one is called.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

from kit.deploy.function.exchange import Exchange, scope_of
from kit.deploy.function.lifespan import Application, Lifespan
from kit.deploy.function.protocol import Frame, Request
from kit.execution.calling import call
from kit.model.errors import PayloadError
from kit.model.failure import failure_of
from kit.netlify.deliveries import error_json

if TYPE_CHECKING:
    from starlette.responses import Response

METHODS = ("get", "post", "put", "patch", "delete", "options", "head")
"""The names of functions that answer the method of that name."""

ROOT = "api"
"""The first part of every HTTP function's path."""

_lifespans: WeakKeyDictionary[Any, Lifespan] = WeakKeyDictionary()


async def answer(
    request: Request,
    exchange: Exchange,
    load: Callable[[str], ModuleType],
    time_left: float | None,
    log: Callable[[str], None],
) -> Frame:
    """
    Answer one request, and return the frame that ends it.

    What goes wrong is logged in full, and told to the client as 500 and nothing else; or, where a
    part of the response is sent already, by breaking it off.
    """
    limit = asyncio.timeout(time_left)
    try:
        async with limit:
            await _serve(load(request.function), request, exchange)
        return {"type": "end"}
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        failure = failure_of(error)
    if limit.expired():
        text = (
            f"the function was cut off after {time_left:g} s, its limit; start a workflow instead"
        )
        status, said = 504, "Gateway Timeout"
    else:
        text, (status, said) = failure.traceback, (500, "Internal Server Error")
    log(f"{request.method} {urlsplit(request.url).path}\n{text}")
    if exchange.began:
        return {"type": "failed", "final": True, "error": error_json(failure)}
    await _say_plainly(exchange, status, said)
    return {"type": "end"}


async def _serve(module: ModuleType, request: Request, exchange: Exchange) -> None:
    app = getattr(module, "app", None)
    if app is not None:
        scope = scope_of(request, mounted_at(request))
        scope["state"] = dict((await _started(app)).state)
    else:
        app = _methods_app(module)
        scope = scope_of(request, "")
    scope["path_params"] = path_params(request)
    await app(scope, exchange.ask, exchange.say)
    if not exchange.ended:
        msg = "the application returned without a whole response"
        raise RuntimeError(msg)


async def _started(app: Application) -> Lifespan:
    if app not in _lifespans:
        _lifespans[app] = Lifespan(app)
    lifespan = _lifespans[app]
    await lifespan.start()
    return lifespan


async def _say_plainly(exchange: Exchange, status: int, text: str) -> None:
    exchange.forget()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await exchange.say({"type": "http.response.start", "status": status, "headers": headers})
    await exchange.say({"type": "http.response.body", "body": text.encode()})


# ------------------------------------------------------------ paths


def mounted_at(request: Request) -> str:
    """Return the part of a request's path that leads to its function."""
    parts = urlsplit(request.url).path.split("/")
    return "/".join(parts[: 2 + len(request.function.split("/"))])


def path_params(request: Request) -> dict[str, str]:
    """Return the values of the path's `[parameters]`: as Netlify found them, else by the path."""
    if request.params:
        return dict(request.params)
    found = urlsplit(request.url).path.split("/")[2:]
    named = zip(request.function.split("/"), found, strict=False)
    return {name[1:-1]: unquote(value) for name, value in named if name[:1] == "["}


# ------------------------------------------------------------ method functions


def _methods_app(module: ModuleType) -> Application:
    """Return the functions of *module* as an ASGI application."""
    functions = {name: vars(module)[name] for name in METHODS if callable(vars(module).get(name))}
    if not functions:
        msg = f"{module.__name__} has neither `app` nor a function get, post, put, patch or delete"
        raise LookupError(msg)
    if "get" in functions:
        functions.setdefault("head", functions["get"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = await _respond(functions, scope, receive)
        await response(scope, receive, send)

    return app


async def _respond(functions: dict[str, Callable[..., Any]], scope: Any, receive: Any) -> Response:
    from starlette import requests, responses
    from starlette.exceptions import HTTPException

    function = functions.get(scope["method"].lower())
    if function is None:
        allowed = ", ".join(name.upper() for name in functions)
        return responses.Response(status_code=405, headers={"allow": allowed})
    arguments = (
        (requests.Request(scope, receive),) if inspect.signature(function).parameters else ()
    )
    try:
        return to_response(await call(function, arguments, {}))
    except PayloadError as error:
        return responses.JSONResponse(error.to_json(), error.http_status)
    except HTTPException as error:
        return responses.PlainTextResponse(error.detail, error.status_code, error.headers)


def to_response(value: Any) -> Response:
    """Return what a function returned as a response: JSON unless it says otherwise."""
    from starlette.responses import PlainTextResponse, Response

    if isinstance(value, Response):
        return value
    if value is None:
        return Response(status_code=204)
    if isinstance(value, str):
        return PlainTextResponse(value)
    if isinstance(value, bytes):
        return Response(value, media_type="application/octet-stream")
    return Response(_json(value), media_type="application/json")


def _json(value: Any) -> bytes:
    def encode(plain: Any) -> bytes:
        return json.dumps(
            plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()

    try:
        return encode(value)
    except TypeError:  # a model, a date or the like, somewhere in it
        from pydantic_core import to_jsonable_python

        return encode(to_jsonable_python(value))
