"""The environment of a call: what has changed since the last one, which Node tells with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_SETTINGS = ("WORKFLOW_", "AWL_API_KEY", "KIT_", "URL", "DEPLOY_URL", "CONTEXT")


def change(environ: Mapping[str, str], unset: tuple[str, ...] = ()) -> None:
    """Set and unset variables; settings are read again if one of theirs is among them."""
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(environ)
    # a function that never sends never imports what sends
    client = sys.modules.get("kit.client.default")
    if client is not None and any(name.startswith(_SETTINGS) for name in (*environ, *unset)):
        client.use(None)
