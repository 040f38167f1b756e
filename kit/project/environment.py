"""The environment of this process: the one place where it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping

KEYS = ("AWL_API_KEY", "WORKFLOW_API_KEY")
"""How the names of variables begin that hold a key."""


def process_environ() -> Mapping[str, str]:
    """Return the environment as it is now."""
    return os.environ


def environ_without_keys() -> dict[str, str]:
    """
    Return the environment as it is now, with a mark in the place of each key.

    For who has to know whether there is a key, and hands the environment on to other programs: it
    stands in frames there, which a report may show.
    """
    return {
        name: "(hidden)" if value and name.startswith(KEYS) else value
        for name, value in process_environ().items()
    }
