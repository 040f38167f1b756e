"""The tasks of an invocation: a task factory tells of every one that is begun in a handler."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Container, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, cast

from kit.execution.branch import Branch, Seer, Task


class Owner(Seer, Protocol):
    """Whom the tasks of an invocation belong to."""

    loop: asyncio.AbstractEventLoop

    def begins(self, task: Task) -> object:
        """Note a task that is begun in the handler."""


owner: ContextVar[Owner | None] = ContextVar("owner", default=None)
"""Whom a task that is begun belongs to; None outside of handlers, and within steps."""


def context_of(whose: Owner | None) -> Context:
    """Return the current context for a task that belongs to *whose* handler, whoever begins it."""
    context = copy_context()
    context.run(owner.set, whose)
    return context


def apart() -> Context:
    """Return the current context for a task that belongs to no handler."""
    return context_of(None)


class _Factory:
    """The loop's task factory, which tells owners of their tasks; *then* is one set before."""

    def __init__(self, then: Callable[..., Any] | None) -> None:
        self._then = then

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> Any:
        context = options.get("context")
        whose = owner.get() if context is None else context.get(owner)
        if whose is None or whose.loop is not loop:
            return self._make(loop, coroutine, options)
        if not isinstance(coroutine, Branch):
            coroutine = Branch(coroutine, whose)
        task = self._make(loop, coroutine, options)
        if not task.done():  # an eager one may be
            whose.begins(task)
        return task

    def _make(self, loop: Any, coroutine: Any, options: Any) -> Any:
        if self._then is None:
            return asyncio.Task(coroutine, loop=loop, **options)
        return self._then(loop, coroutine, **options)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """See to it that owners are told of the tasks begun on *loop*."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Factory):
        loop.set_task_factory(cast("Any", _Factory(factory)))


def strangers(whose: Owner, known: Container[Task]) -> Iterator[Task]:
    """
    Yield the tasks that belong to *whose* handler and are not *known*, since nobody told of them.

    `asyncio.Task(…)` asks no factory. What it holds is walked over, as before 3.12 a task does not
    tell its context.
    """
    for task in asyncio.all_tasks(whose.loop):
        contexts = (each for each in gc.get_referents(task) if isinstance(each, Context))
        if task not in known and any(each.get(owner) is whose for each in contexts):
            yield task


def look_at(*ended: Task) -> None:
    """Look at what tasks have failed with, so that asyncio need not warn that nobody has."""
    for task in ended:
        if not task.cancelled():
            task.exception()
