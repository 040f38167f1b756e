"""
A time axis on which waiting takes little room.

Times are milliseconds, places are percent of the axis's width. Where nothing but waiting happens
for long, the axis is folded: a day's sleep is as wide as it has to be seen, not as it was long.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Span = tuple[float, float]
"""From when to when."""

_IDLE_SHARE = 0.4
"""Of the width, what waiting may take before it is folded."""

_SEEN = 1.5
"""Percent that a fold takes at least to be marked: a hundred short waits are not each worth it."""

_APART = 11.0
"""Percent between two labels, at least."""

_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LONG_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200)


@dataclass(frozen=True, slots=True)
class Fold:
    """A stretch of waiting drawn narrower than it was: how long, and where it lies."""

    length: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Tick:
    """
    A labelled place: how long after the start of the axis; if `is_after_fold`, after the last
    label that is not.
    """

    offset: int
    x: float
    is_after_fold: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """
    Where moments lie.

    `moments` and `places` are the corners of the line between the two; both rise.
    """

    moments: tuple[float, ...]
    places: tuple[float, ...]
    folds: tuple[Fold, ...] = ()

    def at(self, moment: float) -> float:
        """Return where *moment* lies, in percent; what is outside lies at the edge."""
        index = bisect.bisect_right(self.moments, moment)
        if index == 0:
            return 0.0
        if index == len(self.moments):
            return 100.0
        start, end = self.moments[index - 1], self.moments[index]
        left, right = self.places[index - 1], self.places[index]
        return left + (right - left) * (moment - start) / (end - start)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """The places to label: round times, none of them in a fold, none too near another."""
        found: list[Tick] = []
        for left, right in self._open_stretches():
            is_first = left == self.moments[0]
            for moment in _round_moments(left, right):
                place = self.at(moment)
                if self._has_room(place, found):
                    is_after = not is_first and moment > left
                    origin = left if is_after else self.moments[0]
                    found.append(Tick(round(moment - origin), place, is_after))
        return tuple(found)

    def _has_room(self, place: float, found: Sequence[Tick]) -> bool:
        """Tell whether there is room for a label between the last one and the next fold."""
        if not place:
            return True  # "0" is narrow
        walls = [100.0, *(fold.x for fold in self.folds if fold.x > place)]
        return min(walls) - place >= _APART / 2 and (not found or place - found[-1].x >= _APART)

    def _open_stretches(self) -> Iterator[Span]:
        """Yield the stretches between folds."""
        folded = {fold.x for fold in self.folds}
        start = None
        for index, moment in enumerate(self.moments):
            if index == len(self.moments) - 1 or self.places[index] in folded:
                if start is not None and start < moment:
                    yield start, moment
                start = None
            elif start is None:
                start = moment


def axis_of(busy: Iterable[Span], start: float, end: float) -> Axis:
    """
    Return the axis from *start* to *end*, on which *busy* stretches have most of the width.

    Waiting has up to two fifths of it. If it lasted longer, the longest waits are cut, all to one
    width, until they fit.
    """
    end = max(end, start + 1)
    stretches = list(_stretches(_merged(busy, start, end), start, end))
    idle = [right - left for left, right, is_busy in stretches if not is_busy]
    working = sum(right - left for left, right, is_busy in stretches if is_busy)
    cap = _cap(idle, max(working, 1) * _IDLE_SHARE / (1 - _IDLE_SHARE)) if working else max(idle)
    widths = [
        right - left if is_busy else min(right - left, cap) for left, right, is_busy in stretches
    ]
    total = sum(widths)
    places = [0.0, *(100 * each / total for each in itertools.accumulate(widths))]
    folds = tuple(
        Fold(round(right - left), places[index], places[index + 1] - places[index])
        for index, (left, right, is_busy) in enumerate(stretches)
        if not is_busy and right - left > cap * 1.5 and places[index + 1] - places[index] >= _SEEN
    )
    return Axis((start, *(right for _, right, _ in stretches)), tuple(places), folds)


def _merged(busy: Iterable[Span], start: float, end: float) -> list[Span]:
    """Return what is busy between *start* and *end* without overlaps, each at least 1 ms."""
    found: list[Span] = []
    for left, right in sorted(busy):
        left = min(max(left, start), end - 1)
        right = min(max(right, left + 1), end)
        if found and left <= found[-1][1]:
            found[-1] = (found[-1][0], max(right, found[-1][1]))
        else:
            found.append((left, right))
    return found


def _stretches(
    busy: Sequence[Span], start: float, end: float
) -> Iterator[tuple[float, float, bool]]:
    """Yield all stretches between *start* and *end*, and whether each is busy."""
    reached = start
    for left, right in busy:
        if left > reached:
            yield reached, left, False
        yield left, right, True
        reached = right
    if reached < end:
        yield reached, end, False


def _cap(lengths: Sequence[float], room: float) -> float:
    """Return the length to which the longest of *lengths* are cut so that all fit *room*."""
    left, count = room, len(lengths)
    for length in sorted(lengths):
        if length * count > left:
            return left / count
        left, count = left - length, count - 1
    return max(lengths, default=0.0)


def _round_moments(left: float, right: float) -> Iterator[float]:
    """Yield *left*, and what is a round time after it."""
    step = _round_step((right - left) / 5)
    moment = left
    while moment <= right:
        yield moment
        moment += step


def _round_step(least: float) -> float:
    """Return a round length of time, at least *least* milliseconds."""
    for step in _STEPS:
        if step >= least:
            return step
    for seconds in _LONG_STEPS:
        if seconds * 1_000 >= least:
            return seconds * 1_000
    day = 86_400_000
    return day * max(1, -(-least // day))
