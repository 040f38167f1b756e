"""What a function has at most."""

from __future__ import annotations

import pytest

from kit.deploy.function.limits import LARGEST_IN_BACKGROUND, admitted, share_of
from kit.model.delivery import Checkpoint, Completed, Failed, Suspended


def test_what_is_too_large_to_travel_fails_for_good():
    outcome = Suspended((Checkpoint("a", text="x" * 100_000),))

    refused = admitted(outcome, LARGEST_IN_BACKGROUND - 100_000, is_background=True)

    assert isinstance(refused, Failed)
    assert refused.retry_in is None
    assert "250 kB together, and Netlify carries 250 kB" in refused.failure.message
    assert admitted(outcome, LARGEST_IN_BACKGROUND, is_background=False) is outcome
    assert admitted(outcome, 0, is_background=True) is outcome


def test_what_is_not_stored_may_have_any_size():
    outcome = Completed("x")

    assert admitted(outcome, 10**9, is_background=True) is outcome


@pytest.mark.parametrize(
    ("seconds", "share"), [(None, None), (26.0, 24.0), (899.0, 897.0), (1.0, 0.8), (0.01, 0.1)]
)
def test_some_of_the_time_is_kept_back(seconds: float | None, share: float | None):
    assert share_of(seconds) == share
