"""What is wrong with a build: errors, which end it, and warnings and notes, which are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from kit.deploy.bundle.app import Sources
from kit.deploy.bundle.plan import WorkflowFacts
from kit.model.errors import BuildError

Level = Literal["error", "warning", "note"]
"""A note is about this machine only, or comes later: no check of the project fails for it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    level: Level
    code: str
    text: str


def raise_errors(findings: Iterable[Finding], *, strict: bool) -> tuple[Finding, ...]:
    """
    Return the warnings and notes among *findings*.

    Raises:
        BuildError: If there are errors, or with *strict* warnings: one error that tells all.
    """
    findings = tuple(findings)
    fatal = ("error", "warning") if strict else ("error",)
    wrong = [each for each in findings if each.level in fatal]
    if wrong:
        raise BuildError(
            "\n".join(each.text for each in wrong),
            code=wrong[0].code,
            details={"problems": [{"code": each.code, "message": each.text} for each in wrong]},
        )
    return findings


def judge_sources(sources: Sources) -> Iterator[Finding]:
    """Yield what is wrong with the project's files: links, secrets, patterns without a file."""
    for path, target in sources.links.items():
        yield Finding("error", "BUILD_LINK", _about_link(path, target))
    for path, why in sources.left_out.items():
        yield Finding(
            "warning",
            "BUILD_SECRET_LEFT_OUT",
            f"{path} {why}, and was left out of the bundle. Set secrets in the site's environment"
            f" variables{_or_include(path)}",
        )
    for text in sources.keys.values():
        yield Finding(
            "warning",
            "BUILD_KEY_IN_CODE",
            f"{text}, and everybody who can see the code can see it. Set it in the site's"
            " environment variables",
        )
    yield from _judge_names(sources.paths)
    for pattern in sources.unmatched:
        yield Finding(
            "warning", "BUILD_NOTHING_INCLUDED", f"include in the settings: no file is {pattern!r}"
        )


def judge_backoffs(workflows: Iterable[WorkflowFacts]) -> Iterator[Finding]:
    """Yield which backoffs do not say how long to wait, as Netlify asks all of them beforehand."""
    for each in workflows:
        if not each.backoff_problems:
            continue
        first, *others = each.backoff_problems
        more = f", and so it is with {len(others)} more" if others else ""
        yield Finding(
            "warning",
            "BUILD_BACKOFF",
            f"{each.path}: {first}{more}; Netlify's own wait counts there. Return a duration for"
            f" each coming attempt from 1 to {each.max_retries}",
        )


def _about_link(path: str, target: str) -> str:
    if Path(target).is_dir():
        return (
            f"{path} is a link to a folder, {target}, not followed. Put the folder there"
            f"{_or_include(f'{path}/**/*')}"
        )
    if not Path(target).exists():
        return f"{path} is a link to {target}, where nothing is. Put the file there, or remove it"
    return (
        f"{path} is a link that leads out of its folder, to {target}, and what is there may be"
        f" no part of the program. Put the file itself there{_or_include(path)}"
    )


def _judge_names(paths: Iterable[str]) -> Iterator[Finding]:
    """Yield what would be imported in place of something else: the project's folder comes first."""
    for path in paths:
        top, *below = PurePosixPath(path).parts
        if below not in ([], ["__init__.py"]):
            continue
        name = PurePosixPath(top).stem
        whose = "the kit" if name == "kit" else "Python's own"
        if name == "kit" or name in sys.stdlib_module_names:
            text = f"{path} has the name of a module of {whose}, and hides it. Rename it"
            yield Finding("warning", "BUILD_HIDES_MODULE", text)


def _or_include(path: str) -> str:
    return f"; or, to bundle it all the same: include: [{json.dumps(path)}] in kit.yaml"
