"""Delivers to a stage until its run has ended."""

from __future__ import annotations

from typing import TypeVar

from kit.testing import Stage

S = TypeVar("S", bound=Stage)


async def until_ended(stage: S, most: int = 100) -> S:
    """
    Deliver to *stage*, each time when the run is due, until that has ended; return the stage.

    Raises:
        AssertionError: If it has not after so many deliveries.
    """
    for _ in range(most):
        await stage.deliver()
        if stage.has_ended:
            return stage
        stage.pass_time()
    msg = f"it has not ended after {most} deliveries"
    raise AssertionError(msg)
