"""What a start form asks for: to start, to show the input as JSON, an item more or less."""

from __future__ import annotations

from collections.abc import Mapping

from kit.dev.dashboard.screens import Screen, Screens
from kit.dev.dashboard.views.answers import Answers, with_item, without_item
from kit.dev.runs import WorkflowInfo
from kit.model.errors import PayloadError, WorkflowError

_INVALID = 422


async def start(screens: Screens, name: str, entries: Mapping[str, str]) -> Screen | str:
    """
    Do what the button pressed says (`do`): the id of the run started, or the form again.

    Raises:
        WorkflowNotFoundError: If there is no workflow called *name*.
    """
    info = await screens.info(name)
    wish, _, pointer = entries.get("do", "start").partition(":")
    if wish in ("add", "remove"):
        entries = (with_item if wish == "add" else without_item)(entries, pointer)
    answers = Answers(info.schema, entries)
    key = entries.get("key", "").strip()
    if wish == "start":
        return await _started(screens, info, answers, key)
    # what cannot be read cannot be said as JSON either: it stays where it can be mended
    form = answers.form(is_sent=False, as_json=wish == "json" and not answers.mistakes)
    return await screens.starting(info, form, key=key)


async def _started(
    screens: Screens, info: WorkflowInfo, answers: Answers, key: str
) -> Screen | str:
    if answers.problems:
        return await screens.starting(
            info, answers.form(), error="Some of it is no answer yet.", key=key, status=_INVALID
        )
    try:
        return await screens.runs.start(info.name, answers.input, id=key or None)
    except PayloadError as error:
        form = answers.form(error.issues)
        return await screens.starting(info, form, error=error.message, key=key, status=_INVALID)
    except WorkflowError as error:
        form = answers.form()
        return await screens.starting(
            info, form, error=error.message, key=key, status=error.http_status
        )
