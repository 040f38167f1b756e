"""What is drawn of a run."""

from typing import Any

import pytest

from kit.dev.dashboard.views.rows import value_of
from kit.dev.dashboard.views.timeline import ROWS, timeline_of
from kit.dev.dashboard.views.values import shown, size_in_words
from kit.dev.runs import Details
from kit.model.delivery import CheckpointKind


def told(timeline: Any) -> list[tuple[str, str, str]]:
    return [(row.kind, row.label, row.state) for row in timeline.rows]


def test_a_run_that_never_failed_is_its_steps_and_sleeps_in_order(fake: Any) -> None:
    assert told(timeline_of(fake.completed(), fake.NOW)) == [
        ("step", "keep-title", "done"),
        ("sleep", "wait-before-publishing", "past"),
        ("step", "publish", "done"),
    ]


def test_failed_attempts_head_what_was_done_in_them(fake: Any) -> None:
    assert told(timeline_of(fake.running(), fake.NOW)) == [
        ("attempt", "attempt 0", "failed"),
        ("step", "download", "done"),
        ("step", "parse", "done"),
        ("wait", "wait before the next attempt", "past"),
        ("attempt", "attempt 1", "failed"),
        ("step", "validate", "done"),
        ("wait", "wait before the next attempt", "past"),
        ("attempt", "attempt 2", "running"),
        ("step", "charge", "running"),
    ]


def test_a_step_has_what_it_was_given_where_that_is_known(fake: Any) -> None:
    rows = timeline_of(fake.running(), fake.NOW).rows

    assert [row.label for row in rows if row.given] == ["parse", "charge"]


def test_a_dead_letter_has_no_attempt_after_its_last(fake: Any) -> None:
    attempts = [row for row in timeline_of(fake.failed(), fake.NOW).rows if row.kind == "attempt"]

    assert [row.state for row in attempts] == ["failed", "failed", "failed"]
    assert all(row.failure is not None for row in attempts)


def test_the_sleep_a_run_is_in_is_the_one_that_sleeps(fake: Any) -> None:
    sleeps = [row for row in timeline_of(fake.sleeping(), fake.NOW).rows if row.kind == "sleep"]

    assert [(row.label, row.state) for row in sleeps] == [
        ("until-tomorrow", "past"),
        ("cool-down", "sleeping"),
    ]


def test_a_run_stopped_in_its_sleep_is_not_drawn_beyond_its_end(fake: Any) -> None:
    details = fake.cancelled()
    sleep = timeline_of(details, fake.NOW).rows[-1]

    assert sleep.ended == details.run.ended


def test_an_event_sent_goes_by_its_own_name(fake: Any) -> None:
    rows = timeline_of(fake.sleeping(), fake.NOW).rows

    assert [row.label for row in rows if row.kind == "send"] == ["notify-ops"]


def test_an_event_known_by_its_id_leads_to_the_run_it_started(fake: Any) -> None:
    details = fake.completed()
    step_id = f"kit:send:{fake.run_id(9)}"
    named = details.checkpoints[0]._replace(step_id=step_id, kind=CheckpointKind.SEND)
    named = named._replace(text=fake.envelope("notify-ops"))
    sent = named._replace(text=None)
    assert timeline_of(Details(details.run, (named,)), fake.NOW).rows[0].label == "notify-ops"
    (row,) = timeline_of(Details(details.run, (sent,)), fake.NOW).rows

    assert (row.kind, row.sent) == ("send", fake.run_id(9))
    assert row.label == f"event {fake.run_id(9)[:8]}"


@pytest.mark.parametrize(("kind", "drawn"), [("cut-off", "cut"), ("not-yet-invented", "step")])
def test_kinds_of_checkpoints_that_are_new_are_drawn_all_the_same(
    fake: Any, kind: Any, drawn: str
) -> None:
    details = fake.completed()
    cut = details.checkpoints[0]._replace(kind=kind, text=None)

    assert timeline_of(Details(details.run, (cut,)), fake.NOW).rows[0].kind == drawn


def test_a_step_whose_failure_was_caught_has_failed(fake: Any) -> None:
    (row,) = [row for row in timeline_of(fake.failed(), fake.NOW).rows if row.label == "look-up"]

    assert row.state == "failed"
    assert row.failure is not None
    assert (row.failure.type, row.failure.message) == ("KeyError", fake.HOSTILE)


def test_log_lines_are_kept_with_the_step_during_which_they_came(fake: Any) -> None:
    rows = timeline_of(fake.completed(), fake.NOW).rows

    assert [[line.text for line in row.logs] for row in rows] == [
        ["keeping the title"],
        [],
        ["publishing"],
    ]


def test_every_bar_lies_within_the_axis_and_can_be_seen(fake: Any) -> None:
    for make in fake.EVERY:
        for row in timeline_of(make(), fake.NOW).rows:
            assert row.bar.width > 0.5
            assert row.bar.x >= 0
            assert row.bar.x + row.bar.width <= 100.0001


def test_of_a_thousand_steps_a_hundred_are_shown_and_the_last_first(fake: Any) -> None:
    timeline = timeline_of(fake.long(), fake.NOW)

    assert len(timeline.rows) == ROWS
    assert timeline.rows[-1].label == "page-1000"
    assert [chunk.number for chunk in timeline.chunks if chunk.is_shown] == [10]
    assert [chunk.number for chunk in timeline.chunks if chunk.has_failed] == [5]


def test_the_chunk_shown_has_the_width_to_itself(fake: Any) -> None:
    timeline = timeline_of(fake.long(), fake.NOW, chunk=5)

    assert timeline.rows[0].label == "page-0401"
    assert timeline.rows[0].bar.x < 1
    assert timeline.rows[-1].bar.x > 95


def test_steps_are_found_by_their_names(fake: Any) -> None:
    timeline = timeline_of(fake.long(), fake.NOW, text="PAGE-04")

    assert (timeline.found, timeline.total) == (100, 1000)
    assert not timeline.chunks


def test_a_chunk_that_is_not_there_is_the_nearest_one(fake: Any) -> None:
    assert timeline_of(fake.long(), fake.NOW, chunk=99).rows[-1].label == "page-1000"


def test_a_run_that_has_not_begun_has_nothing_to_draw(fake: Any) -> None:
    assert timeline_of(fake.queued(), fake.NOW).total == 0


def test_what_began_in_the_same_millisecond_stays_in_order(fake: Any) -> None:
    details = fake.completed()
    same = tuple(each._replace(started=5, ended=5) for each in details.checkpoints)
    rows = timeline_of(Details(details.run, same), fake.NOW).rows

    assert [row.label for row in rows] == [each.step_id for each in same]


def test_a_value_is_read_from_its_envelope_and_an_error_is_none() -> None:
    assert value_of('{"value":{"a":1}}') == '{"a":1}'
    assert value_of('{ "value": [1] }') == "[1]"
    assert value_of('{"error": {}}') is None
    assert value_of(None) is None


def test_a_short_value_is_set_in_lines_and_a_megabyte_is_cut() -> None:
    large = '"' + "x" * 1_000_000 + '"'

    assert shown('{"a":1}').text == '{\n  "a": 1\n}'
    assert not shown('{"a":1}').is_cut
    assert len(shown(large).text) == 2_000
    assert size_in_words(shown(large).size) == "1.0 MB"
