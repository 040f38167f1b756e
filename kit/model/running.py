"""The run that the running code belongs to: what sending an event needs to know of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from kit.model.delivery import Delivery
    from kit.model.event import Event


P = ParamSpec("P")
T = TypeVar("T")


class Running(Protocol):
    """An invocation under way, as far as those who send from within it see it."""

    @property
    def delivery(self) -> Delivery:
        """What has arrived; its event's chain goes on in what is sent."""

    @property
    def loop(self) -> Any:
        """The loop that the handler runs on."""

    def promise(self, what: str, name: str, coroutine: Coroutine[Any, Any, Any]) -> object:
        """Note a *coroutine* that was asked for: its code is to await it before it ends."""

    async def send(self, event: Event, when: str, *, keeps_id: bool = False) -> Event:
        """
        Send *event* under an id made from all it says, unless an earlier invocation has.

        *when* is when it may start, as it was asked for. With *keeps_id*, its id is its own.
        """


current: ContextVar[tuple[Running, str | None] | None] = ContextVar("current", default=None)
"""The invocation that the running code belongs to, and the id of the step within it, if any."""


def promises(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a run fail whose code calls the async *function* and never awaits what it gets."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        coroutine = function(*args, **kwargs)
        running = current.get()
        if running is not None:
            running[0].promise(function.__name__, _name_of(*args, **kwargs), coroutine)
        return coroutine

    return call


def _name_of(*args: Any, **kwargs: Any) -> str:
    """Return what a call is about: a workflow, an event, or several."""
    first = next(iter((*args, *kwargs.values())), "")
    name = first if isinstance(first, str) else getattr(first, "event_name", None)
    return name if isinstance(name, str) else f"of {first!r:.60}"
