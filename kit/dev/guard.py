"""
What is let in: requests for this machine's own name, from this machine's own pages.

A page of a stranger, opened in the same browser, can send requests to 127.0.0.1. It cannot choose
the Host (a name of its own that points here, DNS rebinding) without being told apart, cannot hide
the Origin, and does not know the token. Everything is refused with a sentence, never with silence.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

LARGEST_BODY = 6 * 1024 * 1024
"""Bytes of a request's body, as Netlify's functions take."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
TOKEN_HEADER = b"x-kit-token"
TOKEN_FIELD = "token"  # noqa: S105 - the name of a field

_KITS_OWN = ("/_kit", "/.netlify")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_PAGE_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """
    Lets requests through to *app* that were meant for the server at *port* of this machine.

    The kit's own addresses answer pages of this very origin only; a project's functions and files
    also those of other ports of this machine, where a frontend's own server may run.
    """

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in LOOPBACK)
        if port == 80:
            self._hosts |= set(LOOPBACK)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            status, why = refusal
            await PlainTextResponse(f"{why}\n", status)(scope, receive, send)
            return
        await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = _is_below(scope["path"], "/_kit")

        async def say(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(message.get("headers", ()), is_page)
            await send(message)

        await self._app(scope, _limited(receive), say)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403, "This server answers to 127.0.0.1 and localhost only, at its own port."
        if why := _path_refusal(scope):
            return 400, why
        is_own = any(_is_below(scope["path"], each) for each in _KITS_OWN)
        if why := self._origin_refusal(dict(headers), scope["method"], is_own=is_own):
            return 403, why
        length = dict(headers).get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST_BODY:
            return 413, _TOO_LARGE
        return None

    def _origin_refusal(
        self, headers: dict[bytes, bytes], method: str, *, is_own: bool
    ) -> str | None:
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and not self._is_welcome(origin, is_own=is_own):
            return "A page of another origin may not use this server."
        site = headers.get(b"sec-fetch-site", b"none")
        if site in (b"same-origin", b"none") or (site == b"same-site" and not is_own):
            return None
        # following a link from elsewhere shows a page, in a window of its own, and does nothing
        is_link = headers.get(b"sec-fetch-mode") == b"navigate" and method == "GET"
        if is_link and headers.get(b"sec-fetch-dest") == b"document":
            return None
        return "A page of another site may not use this server."

    def _is_welcome(self, origin: str, *, is_own: bool) -> bool:
        scheme, _, host = origin.partition("://")
        if scheme != "http" and is_own:
            return False
        if host in self._hosts:
            return scheme == "http"
        name = urlsplit(origin).hostname or ""
        return not is_own and name in ("127.0.0.1", "localhost", "::1")


class RequireToken:
    """
    Lets whatever changes something through to *app* only if it brings *token*: as the header
    `x-kit-token`, or as the field `token` of a form.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(TOKEN_HEADER)
        if given is None and _is_form(headers):
            body = await _read(receive)
            given = _field(body)
            receive = _again(body, receive)
        if given is not None and hmac.compare_digest(given, self._token):
            await self._app(scope, receive, send)
            return
        why = "This page is from before the server was started. Load it again, and try once more."
        await PlainTextResponse(f"{why}\n", 403)(scope, receive, send)


_TOO_LARGE = f"A request may have {LARGEST_BODY // 1024 // 1024} MiB, as on Netlify."


def _path_refusal(scope: Scope) -> str | None:
    raw = scope.get("raw_path") or scope["path"].encode()
    # once more than the server: what is encoded twice must not become a way up later
    path = unquote(unquote(raw.decode("latin-1")))
    if "\\" in path or "\0" in path or ".." in path.split("/"):
        return "The path leads elsewhere."
    return None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _with_headers(given: Iterable[tuple[bytes, bytes]], is_page: bool) -> list[tuple[bytes, bytes]]:
    headers = list(given)
    names = {name.lower() for name, _ in headers}
    added = (*_PAGE_HEADERS, (b"cache-control", b"no-store")) if is_page else ()
    more = [each for each in added if each[0] not in names]
    return [*headers, *more, *([] if _NOSNIFF[0] in names else [_NOSNIFF])]


_NOSNIFF = (b"x-content-type-options", b"nosniff")


def _limited(receive: Receive) -> Receive:
    read = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > LARGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return limited


async def _read(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _is_form(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")


def _field(body: bytes) -> bytes | None:
    try:
        fields = parse_qs(body.decode(), max_num_fields=10_000)
    except ValueError:
        return None
    return fields.get(TOKEN_FIELD, [""])[0].encode()
