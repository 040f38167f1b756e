"""Runs that wait while the clock is set: what they were asked for is how long, not until when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from kit.engine.live import ActiveRun
from kit.model.delivery import Checkpoint, CheckpointKind
from kit.model.errors import StoreError
from kit.model.run import Run, RunStatus
from kit.store.sqlite.reader import Reader
from kit.store.sqlite.rows import DAMAGED
from kit.store.sqlite.runs import RunStore


def move(waiting: Iterable[ActiveRun], jump: int, was: int, store: RunStore) -> asyncio.Future[int]:
    """
    Let waiting runs be due as much later as the clock was set forward; on disk with the future.

    *was* is what the clock would say had it not been set. A moment that was asked for stays what it
    is: a sleep until a datetime, or a start that was put off until one.
    """
    return store.move(list(_moved(waiting, jump, was, store.reader)))


def _moved(
    waiting: Iterable[ActiveRun], jump: int, was: int, reader: Reader
) -> Iterator[tuple[Run, list[Checkpoint]]]:
    for live in waiting:
        sleeps: list[Checkpoint] = []
        if live.run.status is RunStatus.SLEEPING:
            sleeps = [_moved_sleep(each, jump) for each in _asleep(live.run.id, reader)]
            due = min((each.ended for each in sleeps), default=live.run.due)
        elif live.is_delayed or live.run.attempt or live.run.due <= was:
            due = live.run.due + jump
        else:
            continue
        live.run = live.run._replace(due=due)
        yield live.run, sleeps


def _asleep(run_id: str, reader: Reader) -> list[Checkpoint]:
    try:
        stored = reader.checkpoints(run_id, check=False).values()
    except StoreError as error:
        if error.code != DAMAGED:
            raise
        return []  # it is set aside when it wakes
    sleeps = [each for each in stored if each.kind is CheckpointKind.SLEEP]
    return [each for each in sleeps if each.sequence is None]


def _moved_sleep(asleep: Checkpoint, jump: int) -> Checkpoint:
    return asleep if asleep.text is not None else asleep._replace(ended=asleep.ended + jump)
