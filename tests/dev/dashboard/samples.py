"""Runs of every kind, made up."""

from __future__ import annotations

import functools
import json
from typing import Any

from kit.dev.runs import (
    BegunStep,
    Details,
    LogLine,
)
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.failure import Failure
from kit.model.run import Attempt, Run, RunStatus

NOW = 1_795_728_000_000
"""The moment at which the runs are as they are."""


HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{7*7}}"


TRACEBACK = """\
Traceback (most recent call last):
  File "functions/workflows/import_orders.py", line 31, in charge
    raise CardDeclined(f"card of order {order.id} was declined")
import_orders.CardDeclined: card of order 1042 was declined
"""


def run_id(number: int) -> str:
    """Return the id of the run with *number*."""
    return f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012}"


def envelope(value: Any) -> str:
    return json.dumps({"value": value})


def steps(count: int, *, start: int, each: int = 12, prefix: str = "step") -> list[Checkpoint]:
    """Return *count* finished steps, one after another."""
    return [
        Checkpoint(
            f"{prefix}-{number:04}",
            text=envelope({"number": number}),
            started=start + number * each,
            ended=start + number * each + each - 3,
        )
        for number in range(1, count + 1)
    ]


def completed(number: int = 1) -> Details:
    """A draft that slept half a minute and was published."""
    start = NOW - 95_000
    run = Run(
        run_id(number),
        "publish-draft",
        RunStatus.COMPLETED,
        '{"title":"Ship weekly digest"}',
        created=start - 4,
        started=start,
        ended=start + 30_021,
        result='{"title":"Ship weekly digest","url":"/drafts/ship-weekly-digest"}',
        key="weekly-2026-48",
    )
    kept = (
        Checkpoint(
            "keep-title", text=envelope("Ship weekly digest"), started=start + 1, ended=start + 5
        ),
        Checkpoint("wait-before-publishing", CheckpointKind.SLEEP, None, start + 6, start + 30_006),
        Checkpoint(
            "publish",
            text=envelope("/drafts/ship-weekly-digest"),
            started=start + 30_008,
            ended=start + 30_019,
        ),
    )
    logs = (
        LogLine(start + 3, "INFO", "keeping the title"),
        LogLine(start + 30_010, "INFO", "publishing"),
    )
    return Details(run, kept, logs=logs)


def sleeping(number: int = 2) -> Details:
    """A report that waits for tomorrow; a day's sleep is behind it."""
    day, start = 86_400_000, NOW - 86_470_000
    run = Run(
        run_id(number),
        "daily-report",
        RunStatus.SLEEPING,
        '{"region":"EMEA","recipients":["ops@example.com","cfo@example.com"]}',
        due=NOW + 41_000,
        created=start,
        started=start + 2,
    )
    later = start + 4_100 + day
    kept = (
        Checkpoint(
            "collect-sales", text=envelope({"rows": 18_211}), started=start + 3, ended=start + 2_410
        ),
        Checkpoint(
            "collect-returns", text=envelope({"rows": 402}), started=start + 3, ended=start + 1_100
        ),
        Checkpoint(
            "render",
            text=envelope("report-2026-11-25.pdf"),
            started=start + 2_412,
            ended=start + 4_060,
        ),
        Checkpoint("until-tomorrow", CheckpointKind.SLEEP, None, start + 4_100, later),
        Checkpoint(
            "collect-late-sales",
            text=envelope({"rows": 88}),
            started=later + 2,
            ended=later + 1_900,
        ),
        Checkpoint(
            "kit:send:notify-ops:0", CheckpointKind.SEND, None, later + 1_902, later + 1_902
        ),
        Checkpoint("cool-down", CheckpointKind.SLEEP, None, later + 1_910, NOW + 41_000),
    )
    return Details(run, kept)


def running(number: int = 3) -> Details:
    """An import in the middle of a step, at its third attempt."""
    start = NOW - 34_000
    declined = Failure("CardDeclined", "card of order 1042 was declined", TRACEBACK, "charge")
    run = Run(
        run_id(number),
        "import-orders",
        RunStatus.RUNNING,
        json.dumps({"file": "s3://orders/2026-11-26.csv", "dry_run": False}),
        attempt=2,
        created=start - 20,
        started=start,
    )
    kept = (
        Checkpoint(
            "download", text=envelope({"bytes": 48_211}), started=start + 4, ended=start + 1_900
        ),
        Checkpoint(
            "parse", text=envelope({"orders": 311}), started=start + 1_903, ended=start + 2_350
        ),
        Checkpoint("validate", text=envelope(None), started=start + 8_800, ended=start + 9_700),
    )
    attempts = (
        Attempt(0, start + 3_700, declined, 5_000),
        Attempt(
            1, start + 10_400, declined._replace(message="card of order 1043 was declined"), 20_000
        ),
    )
    logs = (
        LogLine(start + 1_200, "INFO", "48 kB in 1.2 s"),
        LogLine(start + 3_600, "WARNING", "the card was declined, a retry may help"),
        LogLine(start + 10_300, "ERROR", HOSTILE),
        LogLine(NOW - 400, "INFO", "charging order 1044"),
    )
    given = {
        "parse": "parse('s3://orders/2026-11-26.csv', strict=True)",
        "charge": "charge(Order(id=1044, total=Decimal('42.50')), card='…4242')",
    }
    return Details(run, kept, attempts, logs, (BegunStep("charge", NOW - 3_300),), given)


def failed(number: int = 4) -> Details:
    """A dead letter, three attempts long; its names and errors would be markup."""
    start = NOW - 3_700_000
    wrong = Failure(
        "ValueError", f"no such account {HOSTILE}", TRACEBACK + HOSTILE, "charge <b>card</b>"
    )
    run = Run(
        run_id(number),
        "import-orders",
        RunStatus.FAILED,
        json.dumps({"name": HOSTILE}),
        attempt=2,
        created=start - 20,
        started=start,
        ended=start + 26_000,
        failure=wrong,
    )
    kept = (
        Checkpoint(
            "<b>parse</b>", text=envelope({HOSTILE: HOSTILE}), started=start + 4, ended=start + 400
        ),
        Checkpoint(
            "look-up",
            text=json.dumps(
                {"error": {"type": "KeyError", "message": HOSTILE, "traceback": TRACEBACK}}
            ),
            started=start + 402,
            ended=start + 460,
        ),
    )
    attempts = (
        Attempt(0, start + 500, wrong, 5_000),
        Attempt(1, start + 5_700, wrong, 20_000),
        Attempt(2, start + 26_000, wrong, None),
    )
    return Details(run, kept, attempts)


@functools.cache
def long(number: int = 5, count: int = 1_000) -> Details:
    """A run of a thousand steps, one of which has failed and was dealt with."""
    start = NOW - 60_000
    kept = steps(count, start=start, prefix="page")
    error = {"type": "TimeoutError", "message": "no answer within 10 s", "traceback": TRACEBACK}
    kept[416 % count] = kept[416 % count]._replace(text=json.dumps({"error": error}))
    run = Run(
        run_id(number),
        "crawl-site",
        RunStatus.COMPLETED,
        '"https://example.com"',
        created=start - 5,
        started=start,
        ended=kept[-1].ended + 4,
        result=str(count),
    )
    return Details(run, tuple(kept))


@functools.cache  # a megabyte takes its time, and nobody changes what is frozen
def large(number: int = 6) -> Details:
    """A run whose input, result and step are a megabyte each."""
    start = NOW - 600_000
    text = json.dumps({"rows": [{"id": n, "name": f"row {n}"} for n in range(32_000)]})
    run = Run(
        run_id(number),
        "convert-table",
        RunStatus.COMPLETED,
        text,
        created=start - 5,
        started=start,
        ended=start + 2_000,
        result=text,
    )
    kept = (
        Checkpoint("convert", text=f'{{"value":{text}}}', started=start + 9, ended=start + 1_950),
    )
    return Details(run, kept)


def queued(number: int = 7) -> Details:
    """A run that has not begun."""
    run = Run(
        run_id(number),
        "publish-draft",
        RunStatus.QUEUED,
        "null",
        due=NOW + 3_600_000,
        created=NOW - 2_000,
    )
    return Details(run)


def cancelled(number: int = 8) -> Details:
    """A run that was stopped in its sleep."""
    start = NOW - 7_200_000
    run = Run(
        run_id(number),
        "daily-report",
        RunStatus.CANCELLED,
        '{"region":"APAC"}',
        created=start,
        started=start,
        ended=start + 20_000,
    )
    kept = (
        Checkpoint("collect-sales", text=envelope(1), started=start + 3, ended=start + 410),
        Checkpoint("until-tomorrow", CheckpointKind.SLEEP, None, start + 412, start + 86_400_000),
    )
    return Details(run, kept)


EVERY = (completed, sleeping, running, failed, long, large, queued, cancelled)
