"""What is wrong with a build: errors, which end it, and warnings, which are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kit.model.errors import BuildError

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    level: Level
    code: str
    text: str


def raise_errors(findings: Iterable[Finding], *, strict: bool) -> tuple[Finding, ...]:
    """
    Return the warnings among *findings*.

    Raises:
        BuildError: If there are errors, or with *strict* anything: one error that tells all.
    """
    findings = tuple(findings)
    wrong = [each for each in findings if strict or each.level == "error"]
    if wrong:
        raise BuildError(
            "\n".join(each.text for each in wrong),
            code=wrong[0].code,
            details={"problems": [{"code": each.code, "message": each.text} for each in wrong]},
        )
    return findings
