"""
A run's checkpoints as Async Workloads keeps them: in the event itself, its `stepResults`.

    {"sequence":7,"value":…}        the eighth that was recorded
    {"sequence":7,"step":"charge",…}  … kept under another id, since that one was taken
    {"sequence":7,"cut":true}       a step or sleep that was cancelled from within
    kit:forgotten:0  {"value":["charge"]}   ids of what is not to answer any more

* JavaScript puts keys that are whole numbers before all others, so the order of `stepResults` tells
  nothing of steps: each carries its number. Sleeps cannot, but their keys all begin with letters,
  so they stand in their order, and theirs are the numbers that are left over.
* Nothing stored can be changed. What is to be forgotten is said; and what a forgotten step comes to
  the next time is kept under an id that is free, `charge~1`.
* A first edition of the kit has stored no numbers, and events that are numbered by their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from kit.model.delivery import Checkpoint, CheckpointKind

_SLEEP_PREFIX = "awl:sleep:"
_FORGOTTEN_PREFIX = "kit:forgotten:"
_NOTHING = '{"value":null}'
_CUT = '{"cut":true}'
_HEAD = re.compile(r'\{"sequence":(\d+),(?:"step":("(?:[^"\\]|\\.)*"),)?')

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A checkpoint and the id it is kept under."""

    key: str
    checkpoint: Checkpoint


def checkpoints_of(item: Mapping[str, Any]) -> dict[str, Checkpoint]:
    """Return what *item*, as a function is given it, remembers of its run."""
    forgotten = _forgotten(item)
    checkpoints: dict[str, Checkpoint] = {}
    for each in _numbered(_stored(item)):
        if each.key not in forgotten:
            # as on the platform, the first wins
            checkpoints.setdefault(each.checkpoint.step_id, each.checkpoint)
    return checkpoints


def stored_json(
    checkpoints: Iterable[Checkpoint], forgotten: Iterable[str], item: Mapping[str, Any]
) -> list[JsonObject]:
    """Return what is to be stored of *checkpoints*, and of what is *forgotten*, beside *item*."""
    taken = {str(each["stepId"]) for each in item.get("stepResults") or ()}
    kept = []
    for each in checkpoints:
        key = each.step_id if each.step_id not in taken else _free(f"{each.step_id}~", taken, 1)
        taken.add(key)
        kept.append({"id": key, "text": _text_of(each, key)})
    gone = set(forgotten)
    if gone:
        dropped = _forgotten(item)
        stored = (each for each in _stored(item) if each.key not in dropped)
        keys = [each.key for each in stored if each.checkpoint.step_id in gone]
        key = _free(_FORGOTTEN_PREFIX, taken, 0)
        kept.append({"id": key, "text": json.dumps({"value": keys}, separators=(",", ":"))})
    return kept


def _free(prefix: str, taken: set[str], first: int) -> str:
    return next(each for n in count(first) if (each := f"{prefix}{n}") not in taken)


def _text_of(checkpoint: Checkpoint, key: str) -> str:
    text = checkpoint.text or _NOTHING
    if checkpoint.kind is CheckpointKind.CUT_OFF:
        text = checkpoint.text or _CUT
    if checkpoint.sequence is None:
        return text
    step = "" if key == checkpoint.step_id else f'"step":{json.dumps(checkpoint.step_id)},'
    return f'{{"sequence":{checkpoint.sequence},{step}{text[1:]}'


def _forgotten(item: Mapping[str, Any]) -> set[str]:
    """Return the ids under which what is forgotten is kept."""
    keys: set[str] = set()
    for each in item.get("stepResults") or ():
        if each["stepId"].startswith(_FORGOTTEN_PREFIX):
            keys.update(json.loads(_envelope(each.get("stepResult")))["value"])
    return keys


def _stored(item: Mapping[str, Any]) -> Iterator[_Stored]:
    for each in item.get("stepResults") or ():
        key = each["stepId"]
        if key.startswith(_SLEEP_PREFIX):
            step_id = key.removeprefix(_SLEEP_PREFIX)
            is_retry = step_id.startswith("kit:retry:")
            kind = CheckpointKind.RETRY if is_retry else CheckpointKind.SLEEP
            yield _Stored(key, Checkpoint(step_id, kind))
        elif not key.startswith(_FORGOTTEN_PREFIX):
            yield _Stored(key, _step(key, _envelope(each.get("stepResult"))))


def _step(key: str, text: str) -> Checkpoint:
    """Return the checkpoint in an envelope, without what is there for the platform only."""
    head = _HEAD.match(text)
    number = None
    step_id = key
    if head is not None:
        number = int(head[1])
        step_id = json.loads(head[2]) if head[2] else key
        text = "{" + text[head.end() :]
    if text.startswith(_CUT[:-1]):
        within = None if text == _CUT else text
        return Checkpoint(step_id, CheckpointKind.CUT_OFF, within, sequence=number)
    if step_id.startswith("kit:send:"):
        return Checkpoint(step_id, CheckpointKind.SEND, sequence=number)
    return Checkpoint(step_id, CheckpointKind.STEP, text, sequence=number)


def _envelope(result: str | None) -> str:
    """Return the envelope in a `stepResult`, which a workload in JavaScript would not have made."""
    value = None if result is None else json.loads(result)
    if isinstance(value, str) and value.startswith(('{"value":', '{"error":', '{"sequence":')):
        return value
    return json.dumps({"value": value}, separators=(",", ":"))


def _numbered(stored: Iterable[_Stored]) -> Iterator[_Stored]:
    """Yield *stored* with numbers for sleeps: those that nothing else has, in their order."""
    every = list(stored)
    used = {each.checkpoint.sequence for each in every}
    free = (number for number in count() if number not in used)
    for each in every:
        kind = each.checkpoint.kind
        if each.checkpoint.sequence is not None:
            yield each
            continue
        number = next(free)  # also where nothing comes of it: the first edition counted on
        if kind in (CheckpointKind.SLEEP, CheckpointKind.RETRY):
            yield replace(each, checkpoint=each.checkpoint._replace(sequence=number))
        else:
            yield each
