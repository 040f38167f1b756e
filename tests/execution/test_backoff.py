"""A backoff of the user's own that cannot be asked: it is said, and the attempt is tried again."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kit import define_workflow
from kit.execution.context import Context
from kit.testing import play


def broken(attempt: int) -> str:
    raise KeyError(attempt)


@pytest.mark.parametrize("replay", ["pauses", "always"])
@pytest.mark.parametrize("has_steps", [False, True])
def test_a_backoff_that_raises_is_logged_with_what_is_waited_instead(
    replay: Any, has_steps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    @define_workflow(name="orders", backoff=broken, max_retries=1)
    async def orders(input: Any, context: Context) -> int:
        if has_steps:
            await context.step.run("first", lambda: 1)
        tried.append(context.attempt)
        if len(tried) < 2:
            raise OSError("once")
        return context.attempt

    with caplog.at_level(logging.WARNING, "kit"):
        played = play(orders, replay=replay)

    assert played.completed, played.failure
    assert played.elapsed == 5000
    (said,) = (each.getMessage() for each in caplog.records)
    assert said == (
        "workflow 'orders': its backoff, broken(1), raised KeyError: 1, after attempt 0 had failed;"
        " Netlify's own wait counts, 0:00:05"
    )


def test_one_that_ends_the_program_does_not(caplog: pytest.LogCaptureFixture) -> None:
    def ends_all(attempt: int) -> str:
        raise SystemExit(3)

    @define_workflow(backoff=ends_all, max_retries=1)
    async def fails(input: Any) -> None:
        raise OSError("always")

    played = play(fails)

    assert played.failure is not None
    assert played.failure.message == "always"
    assert "ends_all(1), raised SystemExit: 3" in caplog.text
