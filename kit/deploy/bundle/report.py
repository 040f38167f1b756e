"""What a build came to, as data and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kit.deploy.bundle.checks import mebibytes
from kit.deploy.bundle.findings import Finding, Level
from kit.deploy.bundle.plan import Entry, HttpEntry, RecordsEntry
from kit.deploy.bundle.target import MAX_UNZIPPED, MAX_ZIPPED
from kit.deploy.bundle.tree import Size

_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Report:
    """
    What a build came to.

    `entries` are the functions, by their path in the project. `parts` tell where the bundle's
    size comes from; `changed` what was written or removed among the entries; `left_out` why files
    of the project are not in the bundle; `times` how many ms each workflow takes to be imported,
    where that was asked for.
    """

    python: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    parts: Mapping[str, Size] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def total(self) -> Size:
        """The size of the bundle, which every function carries."""
        return sum(self.parts.values(), Size())

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "python": self.python,
            "functions": [_entry_json(path, entry) for path, entry in self.entries.items()],
            "changed": list(self.changed),
            "unzipped": self.total.unzipped,
            "zipped": self.total.zipped,
            "parts": {
                name: {"unzipped": size.unzipped, "zipped": size.zipped}
                for name, size in self.parts.items()
            },
            "importMs": dict(self.times),
            "leftOut": dict(self.left_out),
            "warnings": self._told("warning"),
            "notes": self._told("note"),
            "seconds": round(self.seconds, 3),
        }

    def _told(self, level: Level) -> list[dict[str, str]]:
        told = [each for each in self.findings if each.level == level]
        return [{"code": each.code, "message": each.text} for each in told]

    def summary(self) -> Iterator[str]:
        """Yield a line for each function, and one for all."""
        for path, entry in self.entries.items():
            where = f" at {entry.module.route}" if isinstance(entry, HttpEntry) else ""
            yield f"{path}: {entry.about}{where}"
        count = sum(not isinstance(entry, RecordsEntry) for entry in self.entries.values())
        if count:
            size = self.total
            yield (
                f"{count} function{'s' * (count > 1)} with Python {self.python}, each"
                f" {mebibytes(size.unzipped)}, {mebibytes(size.zipped)} zipped"
            )

    def details(self) -> Iterator[str]:
        """Yield lines about sizes by package and import times by workflow."""
        yield f"{'PART':40} {'UNZIPPED':>10} {'ZIPPED':>10}"
        parts = sorted(self.parts.items(), key=lambda part: -part[1].unzipped)
        for name, size in parts[:_SHOWN]:
            yield _row(name, size)
        rest = sum((size for _, size in parts[_SHOWN:]), Size())
        if rest.unzipped:
            yield _row(f"{len(parts) - _SHOWN} more", rest)
        yield _row("all", self.total)
        yield _row("allowed", Size(MAX_UNZIPPED, MAX_ZIPPED))
        if self.left_out:
            yield ""
            yield f"{'LEFT OUT':40} WHY"
            for path, why in self.left_out.items():
                yield f"{path:40} {why}"
        if self.times:
            yield ""
            yield f"{'WORKFLOW':40} {'IMPORTED IN':>10}"
            for name, ms in sorted(self.times.items(), key=lambda time: -time[1]):
                yield f"{name:40} {ms:>8} ms"


def _row(name: str, size: Size) -> str:
    return f"{name:40} {mebibytes(size.unzipped):>10} {mebibytes(size.zipped):>10}"


def _entry_json(path: str, entry: Entry) -> dict[str, Any]:
    if isinstance(entry, HttpEntry):
        return {"file": path, "path": entry.module.route, "source": entry.module.path}
    if isinstance(entry, RecordsEntry):
        return {"file": path, "about": entry.about}
    return {
        "file": path,
        "workflows": [workflow.name for workflow in entry.workflows],
        "maxRetries": entry.settings.max_retries,
        "background": entry.settings.background,
    }
