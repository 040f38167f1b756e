"""
Events published per second, to a trivial sink on this machine: kept-alive connections, no TLS.

    python benchmarks/publish.py [--json] [--peers] [--seconds 0.5] [--rounds 5]

Every way takes its turn in every round, and the median of its rounds counts, so that whatever else
the machine does hits all alike: trust ratios of one run more than figures of two. The sink is a
process of its own, a bare protocol that answers whatever comes. With --peers also the SDKs of
QStash and Inngest, installed into a throwaway environment, and Netlify's own JavaScript client,
with the global it needs made up; a peer that cannot be had is named and left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
ROUTER = "/.netlify/functions/async-workloads-router"
DATA = {
    "title": "Ship weekly digest",
    "user": {"id": "u_1234567890", "email": "someone@example.com"},
    "tags": ["weekly", "digest", "draft"],
    "count": 42,
}
BUDGETS = {"kit, sync": 1850, "kit, async, 16 in flight": 5000}
Rate = Callable[[float], float]

_BODY = b'{"messageId":"m","ids":["i"],"status":200}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nx-awl-ack: ack\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s"
) % (len(_BODY), _BODY)


class Sink(asyncio.Protocol):
    """Answers each request as soon as its last byte is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection."""
        self.transport = transport
        self.left = b""

    def data_received(self, data: bytes) -> None:
        """Answer the requests that have come whole."""
        left = self.left + data
        while (end := left.find(b"\r\n\r\n")) >= 0:
            head = left[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(left) < end + 4 + length:
                break
            left = left[end + 4 + length :]
            self.transport.write(_ANSWER)  # type: ignore[attr-defined]
        self.left = left


async def serve() -> None:
    """Say which port the sink is at, and serve."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def sink() -> Iterator[str]:
    """Give the origin of a sink in a process of its own."""
    command = [sys.executable, __file__, "--sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def rate(send: Callable[[], object], seconds: float, each: int = 1) -> float:
    """Return the events per second of plain code that sends *each* at a time."""
    for _ in range(5):
        send()
    sent, begun = 0, time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        send()
        sent += each
    return sent / (now - begun)


async def async_rate(send: Callable[[], Awaitable[object]], seconds: float, width: int) -> float:
    """Return the events per second of so many senders side by side."""
    for _ in range(5):
        await send()
    sent, begun = 0, time.perf_counter()

    async def go_on() -> None:
        nonlocal sent
        while time.perf_counter() - begun < seconds:
            await send()
            sent += 1

    await asyncio.gather(*(go_on() for _ in range(width)))
    return sent / (time.perf_counter() - begun)


def ours(origin: str, exits: ExitStack) -> dict[str, Rate]:
    """Return every way that needs nothing but the kit and httpx."""
    from kit import AsyncWorkflowClient, WorkflowClient

    bare = exits.enter_context(httpx.Client())
    client = exits.enter_context(WorkflowClient(origin, "key"))
    loop = exits.enter_context(asyncio.Runner())
    async_bare = httpx.AsyncClient()
    async_client = AsyncWorkflowClient(origin, "key")
    exits.callback(lambda: loop.run(async_client.aclose()))
    exits.callback(lambda: loop.run(async_bare.aclose()))
    url = f"{origin}{ROUTER}?events=%5B%22publish-draft%22%5D&client-context=awl-client"
    body = json.dumps([{"eventName": "publish-draft", "data": DATA, "eventId": "x" * 36}]).encode()
    headers = {"authorization": "Bearer key"}
    tens = [("publish-draft", DATA)] * 10

    def in_loop(send: Callable[[], Awaitable[object]], width: int) -> Rate:
        return lambda seconds: loop.run(async_rate(send, seconds, width))

    return {
        "httpx, sync": lambda s: rate(lambda: bare.post(url, content=body, headers=headers), s),
        "kit, sync": lambda s: rate(lambda: client.send_event("publish-draft", DATA), s),
        "kit, sync, send_events of 10": lambda s: rate(lambda: client.send_events(tens), s, 10),
        "httpx, async, 1 in flight": in_loop(
            lambda: async_bare.post(url, content=body, headers=headers), 1
        ),
        "httpx, async, 16 in flight": in_loop(
            lambda: async_bare.post(url, content=body, headers=headers), 16
        ),
        "kit, async, 1 in flight": in_loop(
            lambda: async_client.send_event("publish-draft", DATA), 1
        ),
        "kit, async, 16 in flight": in_loop(
            lambda: async_client.send_event("publish-draft", DATA), 16
        ),
    }


_PYTHON_PEERS = {
    "qstash": """
from qstash import QStash
client = QStash("key", base_url=origin)
send = lambda: client.message.publish_json(url="https://example.com", body=data)
""",
    "inngest": """
import inngest
client = inngest.Inngest(
    app_id="a", event_key="k", event_api_base_url=origin, api_base_url=origin, is_production=True
)
send = lambda: client.send_sync(inngest.Event(name="publish-draft", data=data))
""",
}
_PYTHON_LOOP = """
import json, sys, time
origin, seconds, data = sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3])
{make}
for _ in range(5): send()
sent, begun = 0, time.perf_counter()
while (now := time.perf_counter()) - begun < seconds:
    send(); sent += 1
print(sent / (now - begun))
"""
_NODE_LOOP = """
const [origin, seconds, data] = [process.argv[2], +process.argv[3], JSON.parse(process.argv[4])]
globalThis.Netlify = {env: {get: name => process.env[name]}, context: {url: origin}}
const {AsyncWorkloadsClient} = await import(process.argv[5])
const client = new AsyncWorkloadsClient({baseUrl: origin, apiKey: 'key'})
const send = async () => {
  const {sendStatus} = await client.send('publish-draft', {data})
  if (sendStatus !== 'succeeded') throw new Error(sendStatus)
}
for (let n = 0; n < 5; n++) await send()
let sent = 0, begun = performance.now()
while (performance.now() - begun < seconds * 1000) { await send(); sent++ }
console.log(sent / (performance.now() - begun) * 1000)
process.exit(0)
"""


def last_line(command: list[str], timeout: float) -> str:
    """Run a command and return the last line it prints; OSError with its own last words."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise OSError((done.stderr.strip().splitlines() or ["no reason given"])[-1][:200])
    return (done.stdout.strip().splitlines() or [""])[-1]


def peers(origin: str, exits: ExitStack) -> dict[str, Rate]:
    """Return the peers that can be had here; say of the others why not."""
    folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
    data = json.dumps(DATA)
    found: dict[str, Rate] = {}

    def offer(name: str, command: Callable[[float], list[str]]) -> None:
        try:
            float(last_line(command(0.05), 60))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            note(f"skipped {name}: {error}")
        else:
            found[name] = lambda seconds: float(last_line(command(seconds), 60 + seconds))

    try:
        last_line([sys.executable, "-m", "venv", str(folder / "venv")], 120)
        python = str(folder / "venv/bin/python")
        for name, make in _PYTHON_PEERS.items():
            try:
                last_line([python, "-m", "pip", "install", "--quiet", name], 300)
            except (OSError, subprocess.SubprocessError) as error:
                note(f"skipped {name}: {error}")
                continue
            code = _PYTHON_LOOP.format(make=make)
            offer(f"{name} SDK, sync", lambda s, c=code: [python, "-c", c, origin, str(s), data])  # type: ignore[misc]
    except (OSError, subprocess.SubprocessError) as error:
        note(f"skipped the Python peers: {error}")
    script = folder / "peer.mjs"
    script.write_text(_NODE_LOOP)
    package = (ROOT / "node_modules/@netlify/async-workloads/index.js").as_uri()
    offer(
        "Netlify's JavaScript client",
        lambda s: ["node", str(script), origin, str(s), data, package],
    )
    return found


def note(text: str) -> None:
    """Say something that is no result."""
    print(text, file=sys.stderr, flush=True)


def measure(seconds: float, rounds: int, with_peers: bool) -> dict[str, float]:
    """Return the median rate of every way, each taking its turn in every round."""
    with sink() as origin, ExitStack() as exits, tempfile.TemporaryDirectory() as elsewhere:
        os.chdir(elsewhere)  # no project's settings or workflows
        exits.callback(os.chdir, ROOT)
        ways = ours(origin, exits)
        if with_peers:
            ways |= peers(origin, exits)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                taken[name].append(way(seconds))
        return {name: statistics.median(rates) for name, rates in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sink:
        asyncio.run(serve())
        return
    rates = measure(min(given.seconds, 10), min(given.rounds, 20), given.peers)
    bare = rates["httpx, sync"]
    rows = {
        name: {
            "eventsPerSecond": round(value),
            "ratioToHttpx": round(value / bare, 2),
            "budget": BUDGETS.get(name),
        }
        for name, value in rates.items()
    }
    if given.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        budget = f"  (budget {row['budget']})" if row["budget"] else ""
        print(f"{name:30} {row['eventsPerSecond']:>7}/s  x{row['ratioToHttpx']:<5}{budget}")


if __name__ == "__main__":
    main()
