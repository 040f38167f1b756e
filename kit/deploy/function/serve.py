"""
HTTP functions: a module with `get`, `post`, … or an ASGI `app` answers a request.

An application starts before its first request, once in a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from kit.deploy.function.exchange import Exchange
from kit.deploy.function.lifespan import Application, Lifespan
from kit.deploy.function.methods import methods_app
from kit.deploy.function.protocol import Frame, Request
from kit.deploy.function.scope import mounted_at, path_params, scope_of
from kit.model.failure import failure_of
from kit.netlify.deliveries import error_json

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
        app = methods_app(module)
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
