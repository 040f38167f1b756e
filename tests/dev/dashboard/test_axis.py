"""Where moments lie on an axis on which waiting takes little room."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.dev.dashboard.views.axis import axis_of

DAY = 86_400_000
spans = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**5)).map(lambda s: (s[0], s[0] + s[1])),
    max_size=12,
)


def test_work_without_waiting_is_drawn_to_scale() -> None:
    axis = axis_of([(0, 250), (250, 1000)], 0, 1000)

    assert axis.at(250) == 25
    assert axis.folds == ()


def test_a_days_sleep_leaves_the_steps_most_of_the_width() -> None:
    axis = axis_of([(0, 10), (DAY, DAY + 10)], 0, DAY + 10)

    assert axis.at(10) == pytest.approx(30)
    assert axis.at(DAY) == pytest.approx(70)
    assert [fold.length for fold in axis.folds] == [DAY - 10]


def test_a_short_wait_is_not_folded_where_a_long_one_is() -> None:
    axis = axis_of([(0, 1000), (1100, 2000), (DAY, DAY + 1000)], 0, DAY + 1000)

    assert [fold.length for fold in axis.folds] == [DAY - 2000]


def test_a_run_of_nothing_but_waiting_has_the_whole_width_for_it() -> None:
    axis = axis_of([], 0, DAY)

    assert axis.at(DAY // 2) == 50
    assert axis.folds == ()


def test_a_hundred_short_waits_are_not_each_marked() -> None:
    axis = axis_of([(at, at + 1) for at in range(0, 10_000, 100)], 0, 10_000)

    assert axis.folds == ()


def test_no_label_stands_in_a_fold_or_too_near_another() -> None:
    axis = axis_of([(0, 4000), (DAY, DAY + 4000)], 0, DAY + 4000)
    fold = axis.folds[0]
    places = [tick.x for tick in axis.ticks]

    assert not any(fold.x < place < fold.x + fold.width for place in places)
    assert all(b - a >= 11 for a, b in itertools.pairwise(places))


def test_after_a_fold_a_label_says_how_long_after_it() -> None:
    axis = axis_of([(0, 4000), (DAY, DAY + 4000)], 0, DAY + 4000)
    after = [tick for tick in axis.ticks if tick.x > axis.folds[0].x]

    assert (after[0].offset, after[0].is_after_fold) == (DAY, False)
    assert (after[1].offset, after[1].is_after_fold) == (2000, True)


@given(busy=spans, length=st.integers(0, 10**9))
def test_time_never_runs_backwards_on_any_axis(busy: list[tuple[int, int]], length: int) -> None:
    axis = axis_of(busy, 0, length)
    places = [axis.at(moment) for moment in sorted({0, length, *(m for s in busy for m in s)})]

    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert all(0 <= tick.x <= 100 for tick in axis.ticks)
    assert sum(fold.width for fold in axis.folds) <= 100
