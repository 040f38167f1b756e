"""`define_workflow`: from a function to a workflow, as a decorator or as a plain call."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from kit.model.duration import Duration, parse_duration
from kit.model.retry import DEFAULT_MAX_RETRIES, Backoff, RetryPolicy
from kit.model.running import promises
from kit.model.workflow import Checkpoints, StoreName, Workflow

if TYPE_CHECKING:
    from datetime import datetime

    from kit.client.handle import WorkflowRun
    from kit.client.sending import OnConflict

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I")  # noqa: E741 - the input

_OPTIONS = ("name", "timeout", "max_retries", "backoff", "background", "checkpoints", "store")
_LIKE_THE_FUNCTION = ("__module__", "__name__", "__qualname__", "__doc__")


class DefinedWorkflow(Workflow[P, R], Generic[P, R]):
    """
    A workflow made by `define_workflow`: it can start itself, and looks like its function.

    `defined_in` is the module that called `define_workflow`. It has no slots, for the sake
    of `__name__`, `__doc__` and `__wrapped__`.
    """

    defined_in: str

    def __init__(self, handler: Callable[P, R], *, defined_in: str = "", **options: Any) -> None:
        _check_handler(handler)
        super().__init__(handler, **options)
        self.__dict__["defined_in"] = defined_in
        for name in _LIKE_THE_FUNCTION:
            if hasattr(handler, name):
                self.__dict__[name] = getattr(handler, name)
        self.__dict__["__wrapped__"] = handler

    @overload
    async def start(
        self: Callable[Concatenate[I, ...], Any],  # mypy finds I through a callable only
        input: I,
        *,
        id: str | None = None,
        delay: Duration | None = None,
        delay_until: datetime | None = None,
        priority: int | None = None,
        on_conflict: OnConflict = "keep",
    ) -> WorkflowRun: ...

    @overload
    async def start(
        self,
        *,
        id: str | None = None,
        delay: Duration | None = None,
        delay_until: datetime | None = None,
        priority: int | None = None,
        on_conflict: OnConflict = "keep",
    ) -> WorkflowRun: ...

    @promises
    async def start(
        self,
        input: Any = None,
        *,
        id: str | None = None,
        delay: Duration | None = None,
        delay_until: datetime | None = None,
        priority: int | None = None,
        on_conflict: OnConflict = "keep",
    ) -> WorkflowRun:
        """
        Start a run of this workflow; the typed form of `run_workflow`.

        Raises:
            PayloadError: If *input* does not fit the handler, before anything is sent.
            SendError: If the event did not get through.
        """
        from kit.client import api as client

        return await client.run_workflow(
            self,
            input,
            id=id,
            delay=delay,
            delay_until=delay_until,
            priority=priority,
            on_conflict=on_conflict,
        )


@overload
def define_workflow(
    handler: Callable[P, R],
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    max_retries: int = DEFAULT_MAX_RETRIES,
    backoff: Backoff = None,
    background: bool = False,
    checkpoints: Checkpoints = "each",
    store: StoreName | None = None,
) -> DefinedWorkflow[P, R]: ...


@overload
def define_workflow(
    handler: None = None,
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    max_retries: int = DEFAULT_MAX_RETRIES,
    backoff: Backoff = None,
    background: bool = False,
    checkpoints: Checkpoints = "each",
    store: StoreName | None = None,
) -> Callable[[Callable[P, R]], DefinedWorkflow[P, R]]: ...


def define_workflow(
    handler: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    timeout: Duration | None = None,
    max_retries: int = DEFAULT_MAX_RETRIES,
    backoff: Backoff = None,
    background: bool = False,
    checkpoints: Checkpoints = "each",
    store: StoreName | None = None,
    **unknown: Any,
) -> Any:
    """
    Make a workflow of *handler*: `@define_workflow`, `@define_workflow(…)`, or a plain call.

    The handler takes `(input, context)`, `(input)` or nothing, and may be plain or async. The
    name is the file's unless *name* overrides it. *timeout* bounds a whole run. After a failure
    the run is tried again up to *max_retries* times, after the waits of *backoff*: a list of
    durations (the last one repeats) or a function of the coming attempt. *background* lets an
    invocation take fifteen minutes on Netlify. With *checkpoints* `"gather"`, finished
    steps are handed over together at the next pause, not each. *store* is where checkpoints
    live on Netlify: `"awl"`, in the event itself, or `"blobs"`, in a record that can be looked at
    and stopped; the settings' `store` if not given.

    Raises:
        TypeError: If *handler* is no function of that kind, or an option does not exist.
        ValueError: If an option's value is out of bounds.
    """
    _check_options(unknown)
    make = functools.partial(
        DefinedWorkflow,
        name=name,
        timeout=None if timeout is None else parse_duration(timeout),
        retry=RetryPolicy(max_retries, _settled(backoff)),
        background=background,
        checkpoints=checkpoints,
        store=store,
        # as typing.NamedTuple does: discovery tells a file's own workflow from an imported one
        defined_in=sys._getframe(1).f_globals.get("__name__", ""),
    )
    return make if handler is None else make(handler)


def _settled(backoff: Backoff) -> Backoff:
    """Copy a list of delays, so that a definition cannot change after it was checked."""
    if isinstance(backoff, Sequence) and not isinstance(backoff, str):
        return tuple(backoff)
    return backoff


def _check_options(unknown: dict[str, Any]) -> None:
    for option in unknown:
        import difflib  # only mistakes need it

        nearest = difflib.get_close_matches(option, _OPTIONS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        msg = f"define_workflow has no option {option!r}{hint} It has: {', '.join(_OPTIONS)}"
        raise TypeError(msg)


def _check_handler(handler: object) -> None:
    if isinstance(handler, Workflow):
        msg = f"{handler.event_name!r} is a workflow already; define_workflow needs its function"
    elif isinstance(handler, type) or not callable(handler):
        msg = f"define_workflow needs a function as its handler, not {handler!r}"
        if isinstance(handler, str):
            msg += f"; as a name, write define_workflow(name={handler!r})"
    elif _yields(handler):
        where = cast("Any", handler).__name__
        msg = f"{where} yields, but a handler returns its result; remove the yield"
    else:
        return
    raise TypeError(msg)


def _yields(handler: Callable[..., Any]) -> bool:
    import inspect

    return inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler)
