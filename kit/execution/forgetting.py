"""What of a run's checkpoints goes when an attempt has failed, so that it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from kit.execution.envelope import outer_of
from kit.model.delivery import Checkpoint, CheckpointKind


def to_forget(known: Mapping[str, Checkpoint], blamed: Iterable[str]) -> Iterator[Checkpoint]:
    """
    Yield the checkpoints of the steps in *blamed*, and the cut-offs that go with them, each once.

    Cut-offs recorded after one of them go, since it may have been that failure which cut them
    off; and those after which nothing has come, since it may have been what ended the attempt.
    """
    failed = {each: known[each] for each in blamed if each in known}
    numbers = [number_of(each) for each in failed.values() if each.sequence is not None]
    last = max((number_of(each) for each in known.values() if _is_reached(each)), default=-1)
    since = min([*numbers, last])
    yield from failed.values()
    for each in list(known.values()):
        is_cut_off = each.kind is CheckpointKind.CUT_OFF and number_of(each) > since
        if is_cut_off and each.step_id not in failed:
            yield each


def lies_within(step_id: str, outer: str, find: Callable[[str], Checkpoint | None]) -> bool:
    """Tell whether the recorded step of *step_id* ran within *outer*, or within one that did."""
    around: str | None = step_id
    while around is not None and (known := find(around)) is not None:
        around = outer_of(known.text)
        if around == outer:
            return True
    return False


def number_of(checkpoint: Checkpoint) -> int:
    """Return the place of *checkpoint* among all that its run has recorded; -1 without one."""
    return -1 if checkpoint.sequence is None else checkpoint.sequence


def _is_reached(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint shows that the handler had gone on."""
    if checkpoint.kind is CheckpointKind.STEP:
        return (checkpoint.text or "").startswith('{"value"')
    return checkpoint.kind is CheckpointKind.SLEEP
