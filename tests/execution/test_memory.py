"""What may be asked for, in which order; without any task."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.execution.memory import Memory
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import ReplayError, StepUsageError

STEP, SLEEP, SEND = CheckpointKind.STEP, CheckpointKind.SLEEP, CheckpointKind.SEND
CUT_OFF, RETRY = CheckpointKind.CUT_OFF, CheckpointKind.RETRY
VALUE, ERROR = '{"value":1}', '{"error":{}}'


def recorded(*entries: tuple[str, int | None] | Checkpoint) -> Memory:
    """Return the memory of entries: steps, by their id and number."""
    return Memory(
        each if isinstance(each, Checkpoint) else Checkpoint(each[0], STEP, VALUE, 0, 0, each[1])
        for each in entries
    )


def first(memory: Memory) -> str | None:
    return memory.first.step_id if memory.first else None


def asked(memory: Memory, step_id: str, kind: CheckpointKind = STEP) -> Checkpoint:
    known = memory.ask(step_id, kind)
    assert known is not None
    return known


def test_what_stands_first_is_what_was_recorded_first():
    memory = recorded(("b", 1), ("a", 0), ("c", 2))

    assert first(memory) == "a"
    memory.leave(asked(memory, "b"))
    assert first(memory) == "a"
    memory.leave(asked(memory, "a"))
    assert first(memory) == "c"
    memory.leave(asked(memory, "c"))
    assert memory.is_used_up


@given(st.permutations(range(8)))
def test_whatever_leaves_when_the_queue_keeps_its_order(order: list[int]):
    memory = recorded(*((str(number), number) for number in range(8)))
    left: set[int] = set()

    for number in order:
        memory.leave(asked(memory, str(number)))
        left.add(number)
        rest = [each for each in range(8) if each not in left]
        assert first(memory) == (str(rest[0]) if rest else None)


def test_steps_within_steps_sends_and_waits_need_not_be_asked_for():
    inner = Checkpoint("inner", STEP, '{"value":1,"inner":true}', 0, 0, 0)
    memory = recorded(inner, Checkpoint("kit:retry:0", RETRY, None, 0, 0, 1))

    assert memory.is_used_up
    assert memory.ask("inner", STEP) is inner  # by whom is not said, as by a first edition
    assert not memory.waits_its_turn(inner)


def test_a_step_within_a_step_that_is_to_run_again_answers_whoever_asks():
    inner = Checkpoint("inner", STEP, '{"value":1,"outer":"out","inner":true}', 0, 0, 0)
    assert recorded(inner).ask("inner", STEP, "out") is inner
    assert recorded(inner).ask("inner", STEP) is inner


@pytest.mark.parametrize("asked_first", [True, False])
@pytest.mark.parametrize("outer", [None, "other"])
def test_a_step_within_a_step_that_answers_has_used_its_id(asked_first: bool, outer: str | None):
    memory = recorded(
        Checkpoint("in", STEP, '{"value":1,"outer":"mid","inner":true}', 0, 0, 0),
        Checkpoint("mid", STEP, '{"value":1,"outer":"out","inner":true}', 0, 0, 1),
        ("out", 2),
    )
    if asked_first:
        memory.leave(asked(memory, "out"))
    with pytest.raises(StepUsageError, match="'in' is used twice in one invocation"):
        memory.ask("in", STEP, outer)


def test_a_step_within_a_step_that_is_passed_over_answers_whoever_asks():
    inner = Checkpoint("in", STEP, '{"value":1,"outer":"undo","inner":true}', 0, 0, 1)
    memory = recorded(inner, ("undo", 2))  # what was before them is to be tried again
    assert memory.pass_over()
    assert memory.ask("in", STEP) is inner


def test_what_has_no_number_is_answered_in_any_order_and_still_counts():
    memory = recorded(("a", None), ("b", None))

    assert (first(memory), memory.is_used_up) == (None, False)
    assert not memory.waits_its_turn(asked(memory, "b"))
    assert memory.unasked == "'a'"
    asked(memory, "a")
    assert memory.is_used_up


def test_after_a_number_that_is_missing_nobody_need_ask():
    memory = recorded(("a", 0), ("b", 2), ("c", 3))

    assert not memory.pass_over()
    memory.leave(asked(memory, "a"))
    assert memory.missed == ""
    assert memory.pass_over()
    assert first(memory) == "c"
    waiting = asked(memory, "c")
    assert not memory.pass_over()  # somebody asks for it
    memory.leave(waiting)
    assert memory.is_used_up
    passed = asked(memory, "b")  # late, but still known: it is not run again
    assert not memory.waits_its_turn(passed)


def test_who_is_cancelled_asks_for_nothing_more():
    memory = recorded(("a", 0), ("b", 1))

    memory.cut(asked(memory, "a"))

    assert memory.pass_over()
    assert memory.is_used_up


def test_nor_for_what_a_first_edition_recorded_without_a_number():
    memory = recorded(("a", 0), ("old", None))

    memory.cut(asked(memory, "a"))

    assert not memory.is_used_up
    assert memory.pass_over()
    assert memory.is_used_up


def test_after_two_that_were_cut_the_first_says_what_need_not_be_asked_for():
    memory = recorded(("a", 0), ("b", 1), ("c", 2))

    memory.cut(asked(memory, "a"))
    memory.cut(asked(memory, "c"))

    assert memory.missed == ""
    assert memory.pass_over()
    assert memory.is_used_up


def test_events_sent_and_cut_offs_keep_their_place_but_need_not_be_asked_for():
    memory = recorded(
        Checkpoint("kit:send:1", SEND, None, 0, 0, 0), Checkpoint("slow", CUT_OFF, None, 0, 0, 1)
    )

    assert not memory.is_used_up
    assert memory.missed == ""
    assert memory.pass_over()
    assert memory.ask("slow", STEP)
    assert not memory.pass_over()


def test_the_numbers_go_on_where_they_stopped():
    memory = recorded(("a", 0), ("b", 4))

    fresh = memory.record("c", STEP, VALUE, 1, 2)

    assert fresh == Checkpoint("c", STEP, VALUE, 1, 2, 5)
    assert memory.take() == (fresh,)
    assert memory.take() == ()


def test_only_events_are_nothing_to_be_kept():
    memory = recorded()
    memory.record("kit:send:1", SEND, None, 0, 0)
    assert not memory.has_outcomes
    memory.record("a", STEP, ERROR, 0, 0)
    assert memory.has_outcomes


def test_what_is_to_blame_is_forgotten_with_the_cut_offs_after_it():
    memory = recorded(("before", 0), Checkpoint("charge", STEP, ERROR, 0, 0, 1))
    memory.record("cut", CUT_OFF, None, 0, 0)
    memory.record("after", STEP, VALUE, 0, 0)
    memory.record("dealt with", STEP, ERROR, 0, 0)
    memory.record("also", STEP, ERROR, 0, 0)

    assert memory.forget(["charge", "also"]) == ("charge",)  # the others are not stored yet
    assert [each.step_id for each in memory.take()] == ["after", "dealt with"]


def test_cut_offs_that_nothing_came_after_are_forgotten():
    memory = recorded(Checkpoint("old", CUT_OFF, None, 0, 0, 0), ("a", 1))
    memory.record("new", CUT_OFF, None, 0, 0)

    assert memory.forget([]) == ()
    assert memory.take() == ()
    assert memory.find("old") is not None


def test_an_id_is_asked_for_once_and_for_what_it_was():
    memory = recorded(("a", 0))
    memory.ask("b", STEP)

    with pytest.raises(StepUsageError, match="used twice"):
        memory.ask("b", SLEEP)
    with pytest.raises(ReplayError, match="asks for the sleep 'a', but the run recorded a step"):
        memory.ask("a", SLEEP)


@pytest.mark.parametrize("kind", [STEP, SLEEP])
def test_what_was_cut_off_may_be_a_step_or_a_sleep(kind: Any):
    memory = recorded(Checkpoint("a", CUT_OFF, None, 0, 0, 0))
    assert memory.ask("a", kind)
