"""
The real Async Workloads engine with booted functions for its workloads.

The rig imports an entry of ours for each generated one, as the extension's functions import the
generated ones, and hands each delivery on to the function in its sandbox.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.real.rig.rig import Rig

_RIG = Path(__file__).parents[1] / "rig" / "rig.py"

_WORKLOAD = """
import { asyncWorkloadConfig as generated } from %(entry)s;

export const asyncWorkloadConfig = generated;

export default async (request) => {
  const { method, body, headers } = request;
  const blobs = process.env.NETLIFY_BLOBS_CONTEXT;
  const told = { ...Object.fromEntries(headers), "x-boot-url": request.url, "x-boot-blobs": blobs };
  return fetch(%(url)s, { method, body, headers: told, duplex: "half" });
};
"""

_CONTEXT = """
export default () => new Response(process.env.NETLIFY_BLOBS_CONTEXT);
"""


def make_rig(folder: Path, workloads: Mapping[Path, str]) -> Rig:
    """
    Return a rig, not yet started, whose *workloads* are in sandboxes.

    They are generated entries, each with the address that hands on its requests.
    """
    folder.mkdir(parents=True)
    for entry, url in workloads.items():
        values = {"entry": json.dumps(entry.as_uri()), "url": json.dumps(f"{url}/")}
        (folder / entry.name).write_text(_WORKLOAD % values)
    (folder / "context.mjs").write_text(_CONTEXT)
    return open_rig(folder)


def open_rig(folder: Path, **how: Any) -> Rig:
    """Return a rig, not yet started, for the functions in *folder*."""
    rig: Rig = _module().Rig(folder, **how)
    return rig


def blobs_of(rig: Rig) -> dict[str, str]:
    """Return the context of Netlify Blobs that the functions of *rig* have."""
    status, _, text = rig.ask("GET", "/.netlify/functions/context")
    assert status == 200, text
    context: dict[str, str] = json.loads(base64.b64decode(text))
    return context


def send(rig: Rig, name: str, data: Any = None, *, event_id: str = "") -> str:
    """Send an event over the rig's router, and return its id when its first delivery is over."""
    event_id = event_id or str(uuid.uuid4())
    event = {"eventName": name, "eventId": event_id, "data": data, "eventChain": [name]}
    path = f'/.netlify/functions/async-workloads-router?events=["{name}"]'
    status, headers, text = rig.ask("POST", path, [event], key=rig.key)
    assert (status, headers.get("x-awl-ack")) == (200, "ack"), text
    rig.idle()
    return event_id


def delivery(name: str, data: Any = None, *, event_id: str = "", steps: Any = ()) -> bytes:
    """Return the body of a delivery as the router makes it."""
    item = {
        "eventId": event_id or str(uuid.uuid4()),
        "eventName": name,
        "data": data,
        "attemptContext": {"attempt": 0},
        "fnContext": "production",
        "stepResults": list(steps),
        "eventChain": [name],
        "priority": 0,
    }
    return json.dumps([item]).encode()


def _module() -> Any:
    """Import the rig by its path: tests are no package."""
    name = "boot_rig"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _RIG)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
