"""What a function has at most."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from kit.deploy.function.limits import LARGEST_IN_BACKGROUND, admitted, rest_of, share_of
from kit.model.delivery import Checkpoint, Completed, Failed, Sleep, Suspended

ID = "11111111-1111-4111-8111-111111111111"


def test_what_is_too_large_to_travel_fails_for_good():
    outcome = Suspended((Checkpoint("a", text="x" * 100_000),))

    refused = admitted(outcome, LARGEST_IN_BACKGROUND - 100_000, is_background=True)

    assert isinstance(refused, Failed)
    assert refused.retry_in is None
    assert "250 kB together, and an event carries 250 kB" in refused.failure.message
    assert "store: blobs" in refused.failure.message
    assert admitted(outcome, LARGEST_IN_BACKGROUND, is_background=False) is outcome
    assert admitted(outcome, 0, is_background=True) is outcome


def test_ten_runs_of_the_largest_size_fit_into_one_request_to_the_router():
    steps = tuple(
        Checkpoint(f"step-{n}", text='{"value":"' + "é\\n" * 5_000 + '"}') for n in range(26)
    )
    sleeps = (Sleep("nap", timedelta(days=1)),)
    event = {"eventName": "w" * 100, "eventId": ID, "data": "d" * 10_000, "priority": 0}
    kept: list[dict[str, str]] = []
    for step in steps:
        size = len(json.dumps({**event, "stepResults": kept}, ensure_ascii=False).encode())
        if isinstance(admitted(Suspended((step,), sleeps), size, is_background=False), Failed):
            break
        kept.append(
            {"stepId": step.step_id, "stepResult": json.dumps(step.text, ensure_ascii=False)}
        )

    run = {
        **event,
        "stepResults": [*kept, {"stepId": "awl:sleep:nap", "stepResult": '{"duration":86400000}'}],
    }
    request = json.dumps([run] * 10, ensure_ascii=False).encode()

    assert 5_000_000 < len(request) < 6_000_000
    assert 1 < len(kept) < len(steps)


def test_many_small_values_count_with_what_is_around_them():
    steps = tuple(Checkpoint(f"s{n}", text='{"value":0}') for n in range(10_000))

    assert isinstance(admitted(Suspended(steps), 0, is_background=False), Failed)


def test_what_is_not_stored_may_have_any_size():
    outcome = Completed("x")

    assert admitted(outcome, 10**9, is_background=True) is outcome


@pytest.mark.parametrize(
    ("seconds", "share"), [(None, None), (26.0, 24.0), (899.0, 897.0), (1.0, 0.8), (0.01, 0.1)]
)
def test_some_of_the_time_is_kept_back(seconds: float | None, share: float | None):
    assert share_of(seconds) == share


@pytest.mark.parametrize("spent", [0.0, 0.001, 0.05, 0.06, 0.14, 1.31, 1.49, 1.6])
def test_who_is_cut_off_has_had_the_whole_share(spent: float):
    rest = rest_of(1.5, spent)

    assert 1.5 <= spent + rest <= max(1.6, spent + 0.1)
    assert rest == round(rest, 1)
