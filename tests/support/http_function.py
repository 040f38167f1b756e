"""Requests to HTTP functions, and all that is answered: frames, without Node."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from kit.deploy.function.exchange import Exchange
from kit.deploy.function.protocol import Request

URL = "https://shop.example/api/thing"


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


async def begin(send: Any, status: int = 200) -> None:
    headers = [(b"connection", b"close"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
