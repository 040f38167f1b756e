"""A function's Python process in this one, with the test as Node."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kit.deploy.function.child import serve

ID = "11111111-1111-4111-8111-111111111111"
PROJECT = Path(__file__).parent / "project"

SOURCES = {
    "works": "return {'data': input, 'attempt': context.attempt, 'who': context.provider}",
    "steps": "await context.step.run('a', lambda: 2**80)",
    "shuts": "import sys; print('first'); exec(input)",
    "speaks": "print('said', end=''); context.logger.info('logged')",
    "leaves": "raise BaseException('left')",
    "fails": "raise ValueError('no')",
    "waits": "import asyncio; await asyncio.sleep(30)",
    "catches": """
    import asyncio
    async def bad():
        raise ValueError('kept')
    await asyncio.gather(context.step.run('good', lambda: 1), context.step.run('bad', bad))""",
    "counts": "return len(input)",
    "changes": "import os; return [os.environ.get('ONE'), os.environ.get('TWO')]",
    "sends": "await context.send_event('other', {'n': 1})",
}
BROKEN = "import nothing_of_that_name"
FUNCTIONS = {
    "hello": "async def post(request):\n    return (await request.body()).decode() + '!'\n",
    "slow": "import asyncio\nasync def get():\n    await asyncio.sleep(30)\n",
    "[id]": "def get(request):\n    return request.path_params\n",
    "[bad]": "raise RuntimeError('at import')\n",
}


class Node:
    """The other end: sends frames, and keeps those that come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.logs: list[dict[str, Any]] = []

    def say(self, **frame: Any) -> None:
        self._writer.write(json.dumps(frame).encode() + b"\n")

    def say_text(self, text: str) -> None:
        self._writer.write(text.encode())

    async def hear(self) -> dict[str, Any]:
        """Return the next frame that is no log."""
        while True:
            frame = json.loads(await asyncio.wait_for(self._reader.readline(), 50))
            if frame["type"] != "log":
                return frame
            self.logs.append(frame)

    async def invoke(self, workflow: str, *, call: int = 1, **more: Any) -> dict[str, Any]:
        item = {"eventName": workflow, "eventId": ID, **more.pop("item", {})}
        self.say(type="invoke", call=call, workflow=workflow, event=item, timeLeft=20, **more)
        return await self.hear()


def write_bundle(tmp_path: Path) -> Path:
    """Write a bundle of the workflows and functions above."""
    folder = tmp_path / "app" / "functions" / "workflows"
    folder.mkdir(parents=True)
    for name, work in SOURCES.items():
        (folder / f"{name}.py").write_text(
            "from kit import define_workflow\n\n@define_workflow\n"
            f"async def {name}(input, context):\n    {work}\n"
        )
    (folder / "broken.py").write_text(BROKEN)
    names = [*SOURCES, "broken"]
    api = tmp_path / "app" / "functions" / "api"
    api.mkdir()
    for name, text in FUNCTIONS.items():
        (api / f"{name}.py").write_text(text)
    manifest = {
        "python": "python",
        "root": "app",
        "paths": [],
        "folder": "functions/workflows",
        "workflows": {name: f"functions/workflows/{name}.py" for name in names},
        "functions": {name: f"functions/api/{name}.py" for name in FUNCTIONS},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@asynccontextmanager
async def talking(bundle: Path) -> AsyncIterator[Node]:
    ours, theirs = socket.socketpair()
    with theirs:
        serving = asyncio.create_task(serve(bundle, theirs))
        reader, writer = await asyncio.open_connection(sock=ours, limit=2**24)
        node = Node(reader, writer)
        assert (await node.hear())["type"] == "ready"
        yield node
        writer.close()
        await asyncio.wait_for(serving, 50)


class Collecting:
    """Stands in for the site: keeps what is sent."""

    name = "netlify"

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, event: Any, *, key: str | None = None) -> None:
        self.sent.append((event.name, event.data, event.chain))
