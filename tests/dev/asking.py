"""Asking at Async Workloads' own addresses."""

import json
import uuid
from typing import Any

import httpx

ROUTER = "/.netlify/functions/async-workloads-router"


EVENTS = "/.netlify/functions/async-workloads-api/events"


FAILED = "/.netlify/functions/async-workloads-api/failed-events"


async def send(site: httpx.AsyncClient, *events: dict[str, Any], **headers: str) -> httpx.Response:
    return await site.post(ROUTER, content=json.dumps(list(events)), headers=headers)


def event(name: str = "hello", data: Any = None, **more: Any) -> dict[str, Any]:
    return {"eventName": name, "eventId": str(uuid.uuid4()), "data": data, **more}
