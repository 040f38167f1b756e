"""
A run on a time axis, as it is drawn.

Rows of a run with thousands of steps are shown a `Chunk` at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kit.dev.dashboard.views.axis import Axis, axis_of
from kit.dev.dashboard.views.rows import Bar, Row, rows_of
from kit.dev.runs import Details

ROWS = 100
"""Rows a page shows; of a longer run, it shows a chunk and where the others are."""

Numbered = tuple[int, Row]
"""A row, and which it is of all, from 1."""

_LEAST = 0.6
"""Percent of the axis a bar takes at least, to be seen."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a long run: which, from when to when, and whether any of them failed."""

    number: int
    first: int
    last: int
    bar: Bar
    has_failed: bool
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    What is drawn of a run: the axis, the rows shown, and chunks if there are more rows.

    `inner` is the axis of the rows; with chunks, it is that of the chunk shown.
    """

    axis: Axis
    inner: Axis
    rows: tuple[Row, ...]
    chunks: tuple[Chunk, ...] = ()
    total: int = 0
    found: int = 0


def timeline_of(
    details: Details, now: int, *, chunk: int | None = None, text: str = ""
) -> Timeline:
    """
    Return *details* as they are drawn at the moment *now*.

    *chunk*, from 1, says which rows to show if there are more than `ROWS`; the last ones if None.
    With *text*, only rows with it in their label are shown.
    """
    start, end = _bounds(details, now)
    everything = rows_of(details, now)
    axis = _axis(everything, start, end)
    rows = list(enumerate(everything, 1))
    if text:
        rows = [each for each in rows if text.casefold() in each[1].label.casefold()]
    chunks, kept = _chunks(rows, axis, end, chunk)
    inner = axis
    if chunks:
        found = [row for _, row in kept]
        inner = _axis(found, min(r.started for r in found), max(r.ended or end for r in found))
    drawn = tuple(_drawn(row, number, inner, end, details) for number, row in kept)
    return Timeline(axis, inner, drawn, chunks, len(everything), len(rows))


def _axis(rows: Sequence[Row], start: int, end: int) -> Axis:
    """Return the axis on which work has most of the width: steps, and attempts without sleeps."""
    sleeps = [row for row in rows if row.kind in ("sleep", "wait")]
    busy: list[tuple[int, int]] = []
    for row in rows:
        until = row.ended or end
        if row.kind in ("step", "send"):
            busy.append((row.started, until))
        elif row.kind == "attempt":
            slept = any(row.started <= each.started < until for each in sleeps)
            busy += [(row.started, row.started if slept else until), (until, until)]
    return axis_of(busy, start, end)


def _bounds(details: Details, now: int) -> tuple[int, int]:
    run = details.run
    start = run.started or run.created
    moments = [each.ended for each in details.checkpoints if each.ended]
    moments += [each.ended + (each.retry_in or 0) for each in details.attempts]
    if run.ended is not None:
        return start, max(run.ended, start + 1)
    return start, max(now, start + 1, *moments)


def _chunks(
    rows: Sequence[Numbered], axis: Axis, end: int, number: int | None
) -> tuple[tuple[Chunk, ...], Sequence[Numbered]]:
    if len(rows) <= ROWS:
        return (), rows
    count = -(-len(rows) // ROWS)
    number = min(max(number or count, 1), count)
    parts = [rows[index * ROWS : (index + 1) * ROWS] for index in range(count)]
    chunks = tuple(
        _chunk(each, part, axis, end, is_shown=each == number) for each, part in enumerate(parts, 1)
    )
    return chunks, parts[number - 1]


def _chunk(number: int, rows: Sequence[Numbered], axis: Axis, end: int, *, is_shown: bool) -> Chunk:
    first = (number - 1) * ROWS + 1
    until = max(row.ended or end for _, row in rows)
    failed = any(row.state == "failed" for _, row in rows)
    bar = _bar(axis, rows[0][1].started, until)
    return Chunk(number, first, first + len(rows) - 1, bar, failed, is_shown)


def _drawn(row: Row, number: int, axis: Axis, end: int, details: Details) -> Row:
    until = end if row.ended is None else row.ended
    bar = _bar(axis, row.started, until)
    if row.kind == "attempt":
        return replace(row, bar=bar)
    if row.kind != "step":
        return replace(row, bar=bar, number=number)
    heard = tuple(line for line in details.logs if row.started <= line.at <= until)
    given = details.given.get(row.step_id or "", "")
    return replace(row, bar=bar, number=number, logs=heard, given=given)


def _bar(axis: Axis, start: float, end: float) -> Bar:
    left, right = axis.at(start), axis.at(end)
    width = max(right - left, _LEAST)
    return Bar(min(left, 100 - width), width)
