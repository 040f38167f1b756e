"""What may name a step, and what to say of what may not."""

from __future__ import annotations

import functools

from kit.model.errors import StepUsageError

MAX_STEP_ID_LENGTH = 255
"""Characters. Ids travel with every delivery, so they are kept short."""

RESERVED_PREFIXES = ("kit:", "awl:")


def check_step_id(step_id: str) -> None:
    """
    Accept *step_id* if it can name a step.

    Raises:
        StepUsageError: If it cannot; the message says why.
    """
    if not isinstance(step_id, str):
        msg = f"a step id must be a text, not {step_id!r}"
        raise StepUsageError(msg, step_id=repr(step_id))
    _check(step_id)


@functools.lru_cache(maxsize=1024)  # the same ones come again with every run
def _check(step_id: str) -> None:
    if not step_id:
        msg = "a step id must not be empty"
    elif len(step_id) > MAX_STEP_ID_LENGTH:
        msg = (
            f"a step id of {len(step_id)} characters is too long: at most {MAX_STEP_ID_LENGTH};"
            f" it begins {step_id[:40]!r}"
        )
    elif not is_unicode(step_id):
        msg = f"the step id {step_id!r} holds half of a surrogate pair, which no file can keep"
    elif step_id.startswith(RESERVED_PREFIXES):
        msg = f"the step id {step_id!r} begins with a prefix that is kept for the kit and Netlify"
    else:
        return
    raise StepUsageError(msg, step_id=step_id)


def is_unicode(text: str) -> bool:
    """Tell whether *text* can be written as UTF-8: it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def repeated(step_id: str) -> StepUsageError:
    """Return the error for an id that one invocation uses twice."""
    msg = (
        f"the step id {step_id!r} is used twice in one invocation; a checkpoint is found by"
        " its id, so give every step its own (in a loop, put the index into it)"
    )
    return StepUsageError(msg, step_id=step_id)
