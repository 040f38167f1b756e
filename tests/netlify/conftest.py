"""What tests of the network use: both drivers, and real sockets."""

import asyncio

import pytest

from kit.netlify.flow import probe_flow
from kit.netlify.transport import AsyncTransport, Transport


@pytest.fixture(params=["plain", "async"])
def ask(request):
    """Make one request, with either driver, and close it again."""

    def plain(wanted, **options):
        network = Transport(**options)
        try:
            return network.carry_out(probe_flow(wanted))
        finally:
            network.close()

    def by_loop(wanted, **options):
        async def asked():
            network = AsyncTransport(**options)
            try:
                return await network.carry_out(probe_flow(wanted))
            finally:
                await network.close()

        return asyncio.run(asked())

    return plain if request.param == "plain" else by_loop


@pytest.fixture
def real(network):
    network.route(host="127.0.0.1").pass_through()
