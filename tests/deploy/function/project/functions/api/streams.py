"""A bare ASGI application, with a lifespan."""

import asyncio
import hashlib
from typing import Any

from functions.tally import note, noted


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = note("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    work = WORK[scope["path"].removeprefix(scope["root_path"])]
    await work(scope, receive, send)


async def begin(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Any, data: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def facts(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    said = (scope["root_path"], scope["path"], scope["query_string"], scope["state"]["started"])
    await body(send, repr(said).encode())


async def ticks(scope: Any, receive: Any, send: Any) -> None:
    await begin(send, 200, (b"content-type", b"text/event-stream"))
    for number in range(3):
        await body(send, f"data: {number}\n\n".encode(), more=True)
        while noted().count("heard") <= number:
            await asyncio.sleep(0.01)
    await body(send, b"")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    while True:
        message = await receive()
        await body(send, message["body"], more=message["more_body"])
        if not message["more_body"]:
            return


async def digest(scope: Any, receive: Any, send: Any) -> None:
    found, size = hashlib.sha256(), 0
    while True:
        message = await receive()
        found.update(message["body"])
        size += len(message["body"])
        if not message["more_body"]:
            break
    await begin(send)
    await body(send, f"{size} {found.hexdigest()}".encode())


async def large(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    for _ in range(300):
        await body(send, b"x" * 65_536, more=True)
    await body(send, b"")


async def whole(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    await body(send, bytes(int(scope["query_string"])))


async def endless(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    watch = asyncio.create_task(gone(receive))
    while not watch.done():
        await body(send, b"more", more=True)
        await asyncio.sleep(0.01)
    note("client gone")


async def gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def breaks(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    await body(send, b"the first half", more=True)
    raise RuntimeError("in the middle")


async def after(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    await body(send, b"done")
    await asyncio.sleep(0.1)
    note("afterwards")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)


WORK = {
    "/": facts,
    "/ticks": ticks,
    "/echo": echo,
    "/digest": digest,
    "/large": large,
    "/whole": whole,
    "/endless": endless,
    "/breaks": breaks,
    "/after": after,
    "/silent": silent,
}
