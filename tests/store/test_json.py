"""Runs as JSON."""

from __future__ import annotations

from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus
from kit.store.json import run_to_json

ID = "0b5c2f5e-6a4e-4c1d-9f43-5d0c9e1a7b11"


def test_a_completed_run_shows_its_steps_and_result() -> None:
    run = Run(
        id=ID,
        workflow="publish-draft",
        status=RunStatus.COMPLETED,
        data='{"title":"x"}',
        attempt=1,
        due=9,
        priority=2,
        created=1,
        started=2,
        ended=8,
        result="[1]",
    )
    checkpoints = [
        Checkpoint("persist", text='{"value":"x"}', started=2, ended=3),
        Checkpoint("try", text='{"error":{"type":"ValueError"}}'),
        Checkpoint("wait", CheckpointKind.SLEEP, started=3, ended=7),
    ]
    failure = Failure("ValueError", "no", "Traceback", "persist", "STEP_FAILED")

    assert run_to_json(run, checkpoints, [Attempt(0, 5, failure, 5000)]) == {
        "id": ID,
        "workflow": "publish-draft",
        "status": "completed",
        "attempt": 1,
        "data": {"title": "x"},
        "result": [1],
        "error": None,
        "createdAt": 1,
        "startedAt": 2,
        "endedAt": 8,
        "dueAt": None,
        "priority": 2,
        "steps": [
            {
                "id": "persist",
                "kind": "step",
                "status": "completed",
                "startedAt": 2,
                "endedAt": 3,
                "value": "x",
            },
            {
                "id": "try",
                "kind": "step",
                "status": "failed",
                "startedAt": None,
                "endedAt": None,
                "error": {"type": "ValueError"},
            },
            {"id": "wait", "kind": "sleep", "status": "completed", "startedAt": 3, "endedAt": 7},
        ],
        "attempts": [
            {
                "number": 0,
                "endedAt": 5,
                "error": {
                    "type": "ValueError",
                    "message": "no",
                    "traceback": "Traceback",
                    "stepId": "persist",
                    "code": "STEP_FAILED",
                },
                "retryIn": 5000,
            }
        ],
    }


def test_a_sleep_the_run_is_in_has_not_ended() -> None:
    run = Run(id=ID, workflow="w", status=RunStatus.SLEEPING, data="null", due=100, created=1)
    over = Checkpoint("over", CheckpointKind.SLEEP, started=1, ended=50)
    lasts = Checkpoint("lasts", CheckpointKind.SLEEP, started=60, ended=100)
    step = Checkpoint("step", text='{"value":null}', started=1, ended=100)

    found = run_to_json(run, [over, lasts, step])

    assert [s["status"] for s in found["steps"]] == ["completed", "sleeping", "completed"]
    assert (found["dueAt"], found["data"], found["result"]) == (100, None, None)
    assert found["steps"][2]["value"] is None


def test_a_failed_run_says_why() -> None:
    run = Run(ID, "w", RunStatus.FAILED, "null", failure=Failure("OSError", "gone"))

    assert run_to_json(run)["error"] == {
        "type": "OSError",
        "message": "gone",
        "traceback": "",
        "stepId": None,
        "code": None,
    }
