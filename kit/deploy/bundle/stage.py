"""
Stages of a build, each skipped while its input is the same and its result untouched.

A stage makes one tree. What is to be known of it afterwards, its facts, is kept beside the
fingerprint of its input, in `.kit/build/<name>.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.deploy.bundle.tree import EPOCH, discard, move_into_place, settle, stamp

Facts = dict[str, Any]
Make = Callable[[Path], Facts]
"""Makes a tree in the folder it is given, and returns what is to be known of it, as JSON."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of a stage: the facts, what they hold for, and whether anything had to be done."""

    facts: Mapping[str, Any]
    fingerprint: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one project's build. `moment` is the time every file gets."""

    bundle: Path
    records: Path
    moment: int = EPOCH
    made: dict[str, StageResult] = field(default_factory=dict)

    def run(self, name: str, inputs: Any, make: Make) -> StageResult:
        """
        Return the stage's facts, making its tree `<bundle>/<name>` where that is needed.

        *inputs* is everything the result depends on, as JSON. Where only the moment is another one,
        as in builds that take it from each commit, the tree that is there is given that.
        """
        place, record = self.bundle / name, self.records / f"{name}.json"
        fingerprint = _digest([_own_code(), inputs])
        done = self._recorded(place, record, fingerprint)
        if done is None:
            record.unlink(missing_ok=True)
            begun = self.records / f"{name}.new"
            discard(begun)
            begun.mkdir(parents=True)
            facts = make(begun)
            settle(begun, self.moment)
            move_into_place(begun, place)
            self._record(record, fingerprint, place, facts)
            done = StageResult(facts, fingerprint, fresh=True)
        self.made[name] = done
        return done

    def recall(self, name: str, inputs: Any, find_out: Callable[[], Facts]) -> StageResult:
        """Return facts that need no tree, finding them out where *inputs* have changed."""
        record = self.records / f"{name}.json"
        fingerprint = _digest([_own_code(), inputs])
        known = _read(record)
        if known.get("fingerprint") == fingerprint:
            return StageResult(known["facts"], fingerprint, fresh=False)
        facts = find_out()
        _write(record, {"fingerprint": fingerprint, "facts": facts})
        return StageResult(facts, fingerprint, fresh=True)

    def _recorded(self, place: Path, record: Path, fingerprint: str) -> StageResult | None:
        known = _read(record)
        if known.get("fingerprint") != fingerprint or not place.is_dir():
            return None
        if known.get("stamp") != stamp(place):
            return None
        if known.get("moment") != self.moment:
            settle(place, self.moment)
            self._record(record, fingerprint, place, known["facts"])
        return StageResult(known["facts"], fingerprint, fresh=False)

    def _record(self, record: Path, fingerprint: str, place: Path, facts: Facts) -> None:
        known = {"fingerprint": fingerprint, "moment": self.moment, "stamp": stamp(place)}
        _write(record, {**known, "facts": facts})


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _own_code() -> str:
    """Return a digest of the code that builds: with other code, nothing is known any more."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(record: Path, content: Mapping[str, Any]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    begun = record.with_suffix(".tmp")
    begun.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    begun.replace(record)
