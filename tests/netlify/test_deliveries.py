"""Deliveries and outcomes: what Async Workloads says, and what it is told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from kit.model.delivery import (
    Checkpoint,
    CheckpointKind,
    Completed,
    Delivery,
    Failed,
    Sleep,
    Suspended,
)
from kit.model.event import Event
from kit.model.failure import Failure
from kit.netlify.deliveries import delivery_of, outcome_json

ID = "11111111-1111-4111-8111-111111111111"
FAILURE = Failure("ValueError", "no", "Traceback …", "step", "CODE")


def item(**more: Any) -> dict[str, Any]:
    return {"eventName": "w", "eventId": ID, **more}


def test_a_first_delivery_has_an_event_and_nothing_else():
    event = Event("w", None, ID)

    assert delivery_of(item()) == Delivery(event, 0, {}, provider="netlify")


def test_attempt_priority_and_chain_are_read():
    delivery = delivery_of(
        item(
            data={"a": [1]},
            priority=-7,
            attemptContext={"attempt": 2},
            eventChain=["first", "second", "w"],
        )
    )

    assert delivery.attempt == 2
    assert delivery.event == Event("w", {"a": [1]}, ID, None, -7, ("first", "second"))


@pytest.mark.parametrize("priority", [None, "5", 1.5, True, 51])
def test_a_priority_that_is_none_counts_as_zero(priority: object):
    assert delivery_of(item(priority=priority)).event.priority == 0


def test_an_id_the_platform_could_not_keep_is_refused():
    with pytest.raises(ValueError, match="no event id"):
        delivery_of(item(eventId="7"))


@pytest.mark.parametrize(
    ("step_id", "result", "checkpoint"),
    [
        ("a", '"{\\"value\\":1.0}"', Checkpoint("a", text='{"value":1.0}')),
        ("a", '"{\\"error\\":{}}"', Checkpoint("a", text='{"error":{}}')),
        ("awl:sleep:nap", '{"duration":5}', Checkpoint("nap", CheckpointKind.SLEEP, sequence=0)),
        (
            "awl:sleep:kit:retry:0",
            "{}",
            Checkpoint("kit:retry:0", CheckpointKind.RETRY, sequence=0),
        ),
        ("kit:send:e:0", "null", Checkpoint("kit:send:e:0", CheckpointKind.SEND)),
        # what a workload in JavaScript has left
        ("a", '{"b":[1]}', Checkpoint("a", text='{"value":{"b":[1]}}')),
        ("a", '"text"', Checkpoint("a", text='{"value":"text"}')),
        ("a", None, Checkpoint("a", text='{"value":null}')),
    ],
)
def test_what_a_checkpoint_is_its_id_tells(
    step_id: str, result: str | None, checkpoint: Checkpoint
):
    results = [{"stepId": step_id, "stepResult": result}]

    delivery = delivery_of(item(stepResults=results))

    assert delivery.checkpoints == {checkpoint.step_id: checkpoint}


def test_of_two_checkpoints_with_one_id_the_first_counts():
    results = [{"stepId": "a", "stepResult": json.dumps(f'{{"value":{n}}}')} for n in (1, 2)]

    delivery = delivery_of(item(stepResults=results))

    assert delivery.checkpoints["a"].text == '{"value":1}'


def test_a_result_stays_a_text():
    told = outcome_json(Completed('{"n":1.0}'), item(), 0)

    assert told == {"type": "completed", "result": '{"n":1.0}'}


def test_a_suspension_says_what_to_store_and_how_long_to_sleep():
    checkpoints = (
        Checkpoint("a", text='{"value":1}'),
        Checkpoint("kit:send:e:0", CheckpointKind.SEND),
    )
    sleeps = (
        Sleep("nap", 5_500),
        Sleep("until", 10_000),
        Sleep("past", 0),
    )

    told = outcome_json(Suspended(checkpoints, sleeps), item(), 4_000)

    assert told == {
        "type": "suspended",
        "checkpoints": [
            {"id": "a", "text": '{"value":1}'},
            {"id": "kit:send:e:0", "text": '{"value":null}'},
        ],
        "sleeps": [
            {"id": "nap", "ms": 1_500},
            {"id": "until", "ms": 6_000},
            {"id": "past", "ms": 0},
        ],
    }


ERROR = {"type": "ValueError", "message": "no", "traceback": "Traceback …", "code": "CODE"}


@pytest.mark.parametrize(
    ("context", "wait", "retry_in"),
    [
        (None, 5, None),  # Netlify's own default
        ({"attempt": 2}, 20, None),
        ({"attempt": 2, "nextDelayTime": 700}, 0.7, None),
        ({"attempt": 2, "nextDelayTime": 700}, 20, 20_000),
        ({"attempt": 0, "nextDelayTime": 5_000}, 0, 1),
    ],
)
def test_a_wait_is_said_only_where_the_platform_would_take_another(
    context: dict[str, int] | None, wait: float, retry_in: int | None
):
    sent = item() if context is None else item(attemptContext=context)

    told = outcome_json(Failed(FAILURE, timedelta(seconds=wait)), sent, 0)

    expected = {"type": "failed", "final": False, "error": ERROR}
    assert told == (expected if retry_in is None else {**expected, "retryIn": retry_in})


def test_the_last_failure_is_final():
    told = outcome_json(Failed(FAILURE, None), item(), 0)

    assert told == {"type": "failed", "final": True, "error": ERROR}
