"""Records of runs, as the function's JavaScript hands them over and takes them back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kit.model.delivery import Checkpoint, CheckpointKind, Completed, Failed, Sleep, Suspended
from kit.model.failure import Failure
from kit.netlify.records import entry_json, goes_on, recorded_delivery, recorded_outcome

ID = "11111111-1111-4111-8111-111111111111"
ITEM = {
    "eventName": "greet",
    "eventId": ID,
    "data": {"to": "you"},
    "priority": 3,
    "eventChain": ["first", "greet"],
    # what the platform counts and remembers is of no meaning here
    "attemptContext": {"attempt": 7},
    "stepResults": [{"stepId": "awl:sleep:kit:wake:x", "stepResult": "60000"}],
}
STEP = Checkpoint("a", CheckpointKind.STEP, '{"value":1e400}', 5, 6, 0)
FAILURE = Failure("ValueError", "no", "Traceback…", "charge", None)
ERROR = {
    "type": "ValueError",
    "message": "no",
    "traceback": "Traceback…",
    "stepId": "charge",
    "code": None,
}


def test_a_delivery_holds_what_the_record_says() -> None:
    run = {
        "attempt": 2,
        "checkpoints": [{"n": 1, **entry_json(STEP)}],
        "asleep": [
            {"id": "nap", "kind": "sleep", "due": 99},
            {"id": "kit:retry:1", "kind": "retry", "due": 98},
        ],
    }

    delivery = recorded_delivery(ITEM, run)

    assert (delivery.event.name, delivery.event.id, delivery.event.data) == (
        "greet",
        ID,
        {"to": "you"},
    )
    assert (delivery.event.priority, delivery.event.chain) == (3, ("first",))
    assert (delivery.attempt, delivery.provider) == (2, "netlify")
    assert delivery.checkpoints == {"a": STEP}
    assert delivery.asleep == {"nap": 99}


def test_an_event_that_the_platform_could_not_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="id"):
        recorded_delivery({**ITEM, "eventId": "7"}, {"attempt": 0, "checkpoints": [], "asleep": []})


def test_a_result_goes_with_what_is_left_to_be_stored() -> None:
    woken = Checkpoint("nap", CheckpointKind.SLEEP, None, 1, 2, 1)

    told = recorded_outcome(Completed("[1.0]", (STEP,)), [woken])

    entries = [entry_json(woken), entry_json(STEP)]
    assert told == {"type": "completed", "result": "[1.0]", "entries": entries, "forget": []}


def test_a_suspension_tells_its_sleeps_and_what_is_to_be_forgotten() -> None:
    told = recorded_outcome(Suspended((STEP,), (Sleep("nap", 99),), None, ("bad",), goes_on=True))

    assert told == {
        "type": "suspended",
        "entries": [entry_json(STEP)],
        "forget": ["bad"],
        "sleeps": [{"id": "nap", "kind": "sleep", "due": 99}],
        "goesOn": True,
    }


def test_a_suspension_that_is_a_failure_tells_it() -> None:
    wait = Sleep("kit:retry:0", 99, CheckpointKind.RETRY)

    assert recorded_outcome(Suspended((), (wait,), FAILURE))["error"] == ERROR


@pytest.mark.parametrize(
    ("retry_in", "expected"),
    [
        (None, {"final": True}),
        (timedelta(seconds=3), {"final": False, "retryIn": 3000}),
        (timedelta(), {"final": False, "retryIn": 0}),
    ],
)
def test_a_failure_tells_how_long_to_wait(
    retry_in: timedelta | None, expected: dict[str, object]
) -> None:
    told = recorded_outcome(Failed(FAILURE, retry_in, (), ("charge",)))

    failed = {"type": "failed", "error": ERROR, "entries": [], "forget": ["charge"]}
    assert told == {**failed, **expected}


def test_running_out_of_time_with_steps_done_is_no_failure() -> None:
    late = Failed(Failure("WorkflowError", "too long", code="FUNCTION_TIMED_OUT"), None)
    other = Failed(FAILURE, None)

    assert goes_on(late) == Suspended(goes_on=True)
    assert goes_on(other) is other
