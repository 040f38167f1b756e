"""The environment of this process: the one place where it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping


def process_environ() -> Mapping[str, str]:
    """Return the environment as it is now."""
    return os.environ
