"""A site that takes events, and what sends them there."""

import json

import pytest
from pydantic import SecretStr

from kit.client.netlify import NetlifyProvider
from kit.netlify.sender import Sender
from kit.netlify.site import Site
from kit.netlify.transport import AsyncTransport

ROUTER = "https://site.example/.netlify/functions/async-workloads-router"
ENVIRON = {"WORKFLOW_BASE_URL": "https://site.example/some/path", "WORKFLOW_API_KEY": "s3cret"}


@pytest.fixture
def router(network):
    network.get(path__startswith="/.netlify/functions/kit-runs").respond(404, text="Not Found")
    network.post(path__startswith="/.netlify/functions/kit-runs").respond(404, text="Not Found")
    return network.post(url__startswith=ROUTER).respond(200, headers={"x-awl-ack": "ack"})


@pytest.fixture
async def provider(tmp_path, using):
    async def pause(seconds):
        pauses.append(seconds)

    def make(config):
        return NetlifyProvider(config, lambda: AsyncTransport(pause=pause))

    pauses = []
    async with using(tmp_path, ENVIRON, make) as chosen:
        yield chosen.provider


@pytest.fixture
async def sender():
    made = Sender(Site("https://site.example", SecretStr("s3cret")), AsyncTransport())
    yield made
    await made.close()


def bodies(route):
    return [json.loads(call.request.content) for call in route.calls]
