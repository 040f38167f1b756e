"""Input is encoded once on its way, however far it goes."""

import json

import pytest

from kit import AsyncWorkflowClient, WorkflowClient, define_workflow, run_workflow, send_event
from kit.client.netlify import NetlifyProvider

SITE = "https://site.example"
MARK = "only-in-the-payload"


@define_workflow
async def mark(input: dict):
    return None


@pytest.fixture
def encodings(monkeypatch):
    """Count how often something that holds the mark is made to JSON."""
    counted = []
    plain = json.JSONEncoder.iterencode

    def iterencode(self, value, *more, **options):
        if MARK in repr(value):
            counted.append(value)
        return plain(self, value, *more, **options)

    monkeypatch.setattr(json.JSONEncoder, "iterencode", iterencode)
    return counted


@pytest.fixture
def router(network):
    return network.post(url__startswith=SITE).respond(200, headers={"x-awl-ack": "ack"})


async def test_on_its_way_to_a_site(tmp_path, using, router, encodings):
    async with using(tmp_path, {"WORKFLOW_BASE_URL": SITE}, NetlifyProvider):
        await run_workflow(mark, {"a": MARK})
        await send_event("mark", {"a": MARK})
        await run_workflow("elsewhere", {"a": MARK})
    assert len(encodings) == 3
    assert router.call_count == 3


async def test_on_its_way_into_the_local_engine(tmp_path, using, encodings):
    async with using(tmp_path):
        run = await run_workflow(mark, {"a": MARK})
        await run.result(50)
    assert len(encodings) == 1


async def test_on_its_way_from_a_client(tmp_path, monkeypatch, router, encodings):
    monkeypatch.chdir(tmp_path)
    async with AsyncWorkflowClient(SITE) as client:
        await client.run_workflow(mark, {"a": MARK})
    with WorkflowClient(SITE) as client:
        client.run_workflow(mark, {"a": MARK})
    assert len(encodings) == 2
