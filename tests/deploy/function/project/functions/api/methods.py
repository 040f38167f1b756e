"""One function a method; what each returns becomes a response."""

import asyncio
import os
import time
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kit import read_validated_payload

both = asyncio.Barrier(2)


class Thing(BaseModel):
    name: str
    size: int = 1


@dataclass
class Point:
    x: int


async def get(request: Request) -> object:  # noqa: C901 - a list of cases
    match request.query_params.get("what"):
        case "text":
            return "plain é"
        case "list":
            return [Thing(name="a"), Point(1)]
        case "cookies":
            response = Response("ok")
            response.set_cookie("a", "1")
            response.set_cookie("b", "2")
            return response
        case "bytes":
            return bytes(range(256)) * 4
        case "nothing":
            return None
        case "error":
            raise RuntimeError("the secret reason")
        case "teapot":
            raise HTTPException(418, "short and stout", {"x-pot": "tea"})
        case "nan":
            return {"value": float("nan")}
        case "environment":
            return {name: os.environ.get(name) for name in request.query_params.getlist("name")}
        case "pid":
            return os.getpid()
        case "crash":
            os._exit(9)
        case "meets":
            await both.wait()
        case "slow":
            await asyncio.sleep(0.2)
        case "sleeps":
            await asyncio.sleep(30)
        case "blocks":
            time.sleep(30)
        case "descriptor":
            os.write(3, b"here I am\n")
    return {"path": request.url.path, "host": request.headers["host"], "big": 2**60}


async def post(request: Request) -> Thing:
    return read_validated_payload(await request.json(), Thing)


def put(request: Request) -> str:
    print("in a thread")  # noqa: T201
    return request.method


def delete() -> None:
    return None
