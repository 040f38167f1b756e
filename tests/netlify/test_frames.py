"""Frames: what Node says becomes records, what Python says becomes frames."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.deploy.function.limits import LARGEST_IN_BACKGROUND, admitted, share_of
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
from kit.netlify import frames
from kit.netlify.frames import Body, Gone, Invoke, Prepare, Request, Took

ID = "11111111-1111-4111-8111-111111111111"
FAILURE = Failure("ValueError", "no", "Traceback …", "step", "CODE")


def item(**more: Any) -> dict[str, Any]:
    return {"eventName": "w", "eventId": ID, **more}


def line(**frame: Any) -> bytes:
    return json.dumps(frame).encode()


# ---------------------------------------------------------------- from Node


def test_an_invoke_frame_becomes_a_call():
    text = line(
        type="invoke", call=3, workflow="w", event=item(), env={"A": "1"}, unset=["B"], timeLeft=2.5
    )

    assert frames.decode(text) == Invoke(3, {"A": "1"}, ("B",), 2.5, "w", item(), len(text))


def test_a_request_frame_becomes_a_call():
    head = {"method": "GET", "url": "https://a/b", "headers": [["x", "1"], ["x", "2"]]}

    decoded = frames.decode(
        line(type="request", call=1, function="f", params=None, hasBody=True, client="::1", **head)
    )

    headers = (("x", "1"), ("x", "2"))
    assert decoded == Request(
        1, {}, (), None, "f", "GET", "https://a/b", headers, {}, has_body=True, client="::1"
    )


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (line(type="body", call=1, data="AP8="), Body(1, b"\x00\xff")),
        (line(type="bodyEnd", call=1), Body(1, is_last=True)),
        (line(type="took", call=1), Took(1)),
        (line(type="gone", call=1), Gone(1)),
        (line(type="prepare", workflow="w"), Prepare("w")),
    ],
)
def test_other_frames_are_small(text: bytes, record: object):
    assert frames.decode(text) == record


def test_a_frame_of_another_version_is_refused():
    with pytest.raises(ValueError, match="no frame of type 'dance'"):
        frames.decode(line(type="dance", call=1))


def test_the_environment_stays_out_of_a_repr():
    assert "hidden" not in repr(Invoke(1, {"AWL_API_KEY": "hidden"}, workflow="w"))


@given(st.text(), st.dictionaries(st.text(), st.integers()))
def test_a_frame_is_one_line_whatever_is_in_it(text: str, data: dict[str, int]):
    encoded = frames.encode({"type": "log", "text": text, "data": data})

    assert encoded.count(b"\n") == 1
    assert encoded.endswith(b"\n")
    assert json.loads(encoded) == {"type": "log", "text": text, "data": data}


# ---------------------------------------------------------------- deliveries


def test_a_first_delivery_has_an_event_and_nothing_else():
    event = Event("w", None, ID)

    assert frames.delivery_of(item()) == Delivery(event, 0, {}, provider="netlify")


def test_attempt_priority_and_chain_are_read():
    delivery = frames.delivery_of(
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
    assert frames.delivery_of(item(priority=priority)).event.priority == 0


def test_an_id_the_platform_could_not_keep_is_refused():
    with pytest.raises(ValueError, match="no event id"):
        frames.delivery_of(item(eventId="7"))


@pytest.mark.parametrize(
    ("step_id", "result", "checkpoint"),
    [
        ("a", '"{\\"value\\":1.0}"', Checkpoint("a", text='{"value":1.0}')),
        ("a", '"{\\"error\\":{}}"', Checkpoint("a", text='{"error":{}}')),
        ("awl:sleep:nap", '{"duration":5}', Checkpoint("nap", CheckpointKind.SLEEP)),
        ("awl:sleep:kit:retry:0", "{}", Checkpoint("kit:retry:0", CheckpointKind.RETRY)),
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

    delivery = frames.delivery_of(item(stepResults=results))

    assert delivery.checkpoints == {checkpoint.step_id: checkpoint}


def test_of_two_checkpoints_with_one_id_the_first_counts():
    results = [{"stepId": "a", "stepResult": json.dumps(f'{{"value":{n}}}')} for n in (1, 2)]

    delivery = frames.delivery_of(item(stepResults=results))

    assert delivery.checkpoints["a"].text == '{"value":1}'


# ---------------------------------------------------------------- outcomes


def test_a_result_stays_a_text():
    frame = frames.outcome_frame(Completed('{"n":1.0}'), item(), 0)

    assert frame == {"type": "completed", "result": '{"n":1.0}'}


def test_a_suspension_says_what_to_store_and_how_long_to_sleep():
    checkpoints = (
        Checkpoint("a", text='{"value":1}'),
        Checkpoint("kit:send:e:0", CheckpointKind.SEND),
    )
    sleeps = (
        Sleep("nap", timedelta(seconds=1.5)),
        Sleep("until", datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC)),
        Sleep("past", datetime(1970, 1, 1, tzinfo=UTC)),
    )

    frame = frames.outcome_frame(Suspended(checkpoints, sleeps), item(), 4_000)

    assert frame == {
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

    frame = frames.outcome_frame(Failed(FAILURE, timedelta(seconds=wait)), sent, 0)

    expected = {"type": "failed", "final": False, "error": ERROR}
    assert frame == (expected if retry_in is None else {**expected, "retryIn": retry_in})


def test_the_last_failure_is_final():
    frame = frames.outcome_frame(Failed(FAILURE, None), item(), 0)

    assert frame == {"type": "failed", "final": True, "error": ERROR}


# ---------------------------------------------------------------- limits


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
