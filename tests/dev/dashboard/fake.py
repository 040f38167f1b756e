"""Runs that nobody has run: enough of every kind to draw, and to be asked to do something."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kit.dev.feed import Feed
from kit.dev.runs import (
    BegunStep,
    Capabilities,
    Change,
    Details,
    LogLine,
    Page,
    Source,
    Summary,
    WorkflowInfo,
)
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import PayloadError, RunNotFoundError
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

DRAFT_SCHEMA: Mapping[str, Any] = {
    "$defs": {
        "Draft": {
            "properties": {
                "title": {"default": "Untitled draft", "title": "Title", "type": "string"}
            },
            "title": "Draft",
            "type": "object",
        }
    },
    "anyOf": [{"$ref": "#/$defs/Draft"}, {"type": "null"}],
}

ORDER_SCHEMA: Mapping[str, Any] = {
    "$defs": {
        "Address": {
            "properties": {
                "street": {"title": "Street", "type": "string"},
                "country": {"enum": ["DE", "FR", "US"], "title": "Country", "type": "string"},
            },
            "required": ["street", "country"],
            "title": "Address",
            "type": "object",
        },
        "Item": {
            "properties": {
                "sku": {"title": "Sku", "type": "string"},
                "count": {"default": 1, "minimum": 1, "title": "Count", "type": "integer"},
            },
            "required": ["sku"],
            "title": "Item",
            "type": "object",
        },
    },
    "properties": {
        "customer": {"description": "Who pays.", "title": "Customer", "type": "string"},
        "total": {"exclusiveMinimum": 0, "title": "Total", "type": "number"},
        "express": {"default": False, "title": "Express", "type": "boolean"},
        "due": {"format": "date", "title": "Due", "type": "string"},
        "address": {"$ref": "#/$defs/Address"},
        "billing": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "default": None},
        "items": {"items": {"$ref": "#/$defs/Item"}, "title": "Items", "type": "array"},
        "tags": {"default": [], "items": {"type": "string"}, "title": "Tags", "type": "array"},
        "meta": {"additionalProperties": True, "default": {}, "title": "Meta", "type": "object"},
    },
    "required": ["customer", "total", "due", "address", "items"],
    "title": "Order",
    "type": "object",
}


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

_BACKOFF = "5 s, then 20 s more each"
_HERE = "functions/workflows/"

WORKFLOWS = (
    WorkflowInfo(
        "crawl-site",
        _HERE + "crawl_site.py",
        "Read a site, page by page.",
        4,
        _BACKOFF,
        schema={"type": "string", "title": "Url"},
    ),
    WorkflowInfo(
        "daily-report", _HERE + "daily_report.py", "Report what was sold.", 4, _BACKOFF, "2 days"
    ),
    WorkflowInfo(
        "import-orders",
        _HERE + "import_orders.py",
        "Import a file of orders and charge for them.",
        2,
        "5 s, then 20 s",
        "1 hour",
        is_background=True,
        schema=ORDER_SCHEMA,
    ),
    WorkflowInfo(
        "publish-draft",
        _HERE + "publish_draft.py",
        "Keep a draft's title, wait half a minute, and publish it.",
        4,
        _BACKOFF,
        "1 hour",
        schema=DRAFT_SCHEMA,
    ),
    WorkflowInfo("tidy-up", _HERE + "tidy_up.py", retries=4, takes_input=False),
)

BROKEN = WorkflowInfo(
    "send-invoice",
    _HERE + "send_invoice.py",
    retries=4,
    error="functions/workflows/send_invoice.py cannot be imported: '(' was never closed (line 12)",
    traceback="""\
  File "functions/workflows/send_invoice.py", line 12
    await context.step.run("send", send
                          ^
SyntaxError: '(' was never closed
""",
    is_stale=True,
)


def summary_of(details: Details) -> Summary:
    run = details.run
    waits = run.status in (RunStatus.QUEUED, RunStatus.SLEEPING)
    return Summary(
        run.id,
        run.workflow,
        run.status,
        run.created,
        run.started,
        run.ended,
        run.due if waits else None,
        run.attempt,
        run.priority,
        run.data[:200],
        f"{run.failure.type}: {run.failure.message}" if run.failure else None,
        run.key,
    )


def many(count: int) -> list[Details]:
    """Return *count* runs, newest first, of all kinds."""
    made = []
    for number in range(count):
        found = EVERY[number % 4](number + 1) if number % 11 else completed(number + 1)
        shift = number * 47_000
        ended = None if found.run.ended is None else found.run.ended - shift
        run = found.run._replace(
            created=NOW - 3_000 - shift,
            ended=ended,
            started=(found.run.started or 0) - shift,
        )
        made.append(replace(found, run=run))
    return made


@dataclass
class FakeRuns:
    """A source of runs kept in a dictionary; what is asked of it is written down in `asked`."""

    kept: dict[str, Details] = field(default_factory=dict)
    infos: Sequence[WorkflowInfo] = WORKFLOWS
    capabilities: Capabilities = field(default_factory=Capabilities)
    source: Source = field(default_factory=lambda: Source("local", ".kit/runs.db"))
    asked: list[tuple[str, Any]] = field(default_factory=list)
    refuses: PayloadError | None = None
    feed: Feed = field(default_factory=lambda: Feed(interval=0))
    pages: int = 0

    def keep(self, *details: Details) -> None:
        """Keep these runs, and tell of it."""
        for each in details:
            self.kept[each.run.id] = each
        self.feed.tell_of(Change(frozenset(each.run.id for each in details)))

    async def page(
        self,
        *,
        workflow: str | None = None,
        statuses: Sequence[RunStatus] = (),
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        self.pages += 1
        runs = sorted((each.run for each in self.kept.values()), key=lambda run: -run.created)
        fitting = [
            run
            for run in runs
            if (not workflow or run.workflow == workflow)
            and (not statuses or run.status in statuses)
            and text in f"{run.id} {run.workflow} {run.data} {run.result}"
        ]
        first = int(cursor or 0)
        shown = tuple(summary_of(self.kept[run.id]) for run in fitting[first : first + limit])
        following = str(first + limit) if first + limit < len(fitting) else None
        return Page(shown, following, len(fitting))

    async def details(self, run_id: str) -> Details | None:
        return self.kept.get(run_id)

    async def start(self, workflow: str, data: Any = None, *, id: str | None = None) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(("start", (workflow, data, id)))
        new = queued(len(self.kept) + 100).run._replace(workflow=workflow, data=json.dumps(data))
        self.keep(Details(new))
        return new.id

    async def stop(self, run_id: str) -> bool:
        return self._ask("stop", run_id)

    async def retry(self, run_id: str, *, from_start: bool = False) -> bool:
        return self._ask("restart" if from_start else "retry", run_id)

    async def delete(self, run_id: str) -> bool:
        return self._ask("delete", run_id)

    def _ask(self, what: str, run_id: str) -> bool:
        if run_id not in self.kept:
            msg = f"no run {run_id!r}"
            raise RunNotFoundError(msg, run_id=run_id)
        self.asked.append((what, run_id))
        is_final = self.kept[run_id].run.status.is_final
        return not is_final if what == "stop" else is_final

    async def workflows(self) -> Sequence[WorkflowInfo]:
        return self.infos

    def changes(self) -> AsyncIterator[Change]:
        return self.feed.changes()
