"""A site with the runs API, and what it answers."""

import asyncio
import uuid

import httpx
import pytest
from pydantic import SecretStr

from kit.client.asking import SiteRuns
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport

ORIGIN = "https://site.example"
RUNS = f"{ORIGIN}/.netlify/functions/kit-runs"
KEY = "s3cret-key"
ENVIRON = {"WORKFLOW_BASE_URL": ORIGIN, "WORKFLOW_API_KEY": KEY}
API = {"x-kit-runs": "1"}
ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


def run_json(status="completed", **more):
    return {
        "id": ID,
        "workflow": "publish-draft",
        "status": status,
        "attempt": 0,
        "createdAt": 1000,
        "startedAt": 1001,
        "endedAt": 1005,
        "dueAt": None,
        "priority": 0,
        "data": {"title": "x"},
        "result": {"ok": True} if status == "completed" else None,
        "error": None,
        "steps": [
            {
                "id": "persist",
                "kind": "step",
                "status": "completed",
                "startedAt": 1002,
                "endedAt": 1003,
                "value": "x",
            }
        ],
        "attempts": [],
    } | more


def answer(body, status=200):
    return httpx.Response(status, headers=API, json=body)


def refusal(status, code):
    return answer({"error": {"code": code, "message": "no run has the id"}}, status)


def told(status, **more):
    whole = run_json(status, **more)
    names = ("id", "workflow", "status", "result", "error")
    return answer({name: whole[name] for name in names})


@pytest.fixture
def slept():
    return []


@pytest.fixture
async def asked(slept):
    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)  # else nothing that is mocked here ever lets another task go on

    transport = AsyncTransport(pause=sleep)
    yield SiteRuns(Site(ORIGIN, SecretStr(KEY)), transport.carry_out, sleep=sleep)
    await transport.close()


@pytest.fixture
async def provider(tmp_path, using, network):
    network.post(path__startswith="/.netlify/functions/async-workloads-router").respond(
        200, headers={"x-awl-ack": "ack"}
    )
    async with using(tmp_path, ENVIRON) as chosen:
        yield chosen.provider


def page(count, next_):
    error = {"type": "E", "message": "m", "traceback": "", "stepId": None, "code": None}
    runs = [run_json("failed", id=str(uuid.uuid4()), error=error) for _ in range(count)]
    left_out = ("data", "result", "steps", "attempts")
    slim = [{name: it for name, it in run.items() if name not in left_out} for run in runs]
    return answer({"runs": slim, "next": next_})
