"""
A module with `get`, `post`, … as an ASGI application.

Starlette is imported when one is called, not before.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kit.deploy.function.lifespan import Application
from kit.execution.calling import call
from kit.model.errors import PayloadError

if TYPE_CHECKING:
    from starlette.responses import Response

METHODS = ("get", "post", "put", "patch", "delete", "options", "head")
"""The names of functions that answer the method of that name."""


def methods_app(module: ModuleType) -> Application:
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
