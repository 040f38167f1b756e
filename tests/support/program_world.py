"""What random programs do to the world, and how they fail in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Boom(Exception):
    """What steps fail with."""


class Other(Exception):
    """What is raised in its place."""


@dataclass
class World:
    """What the steps of a program have done, outside of any run."""

    tried: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    life: int = 0
    has_failed: bool = False
    is_lax: bool = False  # order may change
    is_recorded: Callable[[str], bool] = lambda _step_id: False
    is_kept: Callable[[str], bool] = lambda _step_id: False


def short(value: Any) -> str:
    return json.dumps(value)[:40]
