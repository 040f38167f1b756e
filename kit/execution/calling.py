"""How a user's functions are called: async ones on the loop, plain ones in a thread each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from typing import Any

from kit.execution.threads import in_thread


async def call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    key: Hashable | None = None,
) -> Any:
    """
    Call *function*, whatever its colour, and return what it comes to.

    A plain one begins only when the last call with the same *key* has ended, even if nobody waits
    for that any more.

    Raises:
        RuntimeError: If it calls `sys.exit`, which from a task would end the whole process.
    """
    try:
        if is_async(function):
            return await function(*args, **kwargs)
        value = await in_thread(function, args, kwargs, key)
        return await value if inspect.isawaitable(value) else value
    except SystemExit as error:
        name = getattr(function, "__name__", repr(function))
        msg = f"{name} called sys.exit({error.code!r}); raise an error instead"
        raise RuntimeError(msg) from error


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether *function* is called on the loop, not in a thread."""
    code = getattr(function, "__code__", None)  # what inspect looks at, without its detours
    if getattr(code, "co_flags", 0) & inspect.CO_COROUTINE:
        return True
    return inspect.iscoroutinefunction(function)
