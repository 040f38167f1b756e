"""For tests of one's own workflows: `play` runs one to its end, in memory, on a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.testing.stage import Played as Played
    from kit.testing.stage import Stage as Stage
    from kit.testing.stage import aplay as aplay
    from kit.testing.stage import play as play

__all__ = ["Played", "Stage", "aplay", "play"]


def __getattr__(name: str) -> Any:
    """Load *name* from its home (PEP 562)."""
    if name not in __all__:
        msg = f"module 'kit.testing' has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module("kit.testing.stage"), name)
