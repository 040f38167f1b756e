"""The run that the running code belongs to: what sending an event needs to know of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

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
    return cast("Callable[P, Coroutine[Any, Any, T]]", _Promising(function))


class _Promising:
    """
    An async function that a run is told of where its code calls it.

    It is async to whoever asks, as frameworks do before they call what they are given: for that it
    has a function's attributes.
    """

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.__code__, self.__defaults__ = function.__code__, function.__defaults__
        self.__kwdefaults__, self.__annotations__ = (
            function.__kwdefaults__,
            function.__annotations__,
        )
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        coroutine: Coroutine[Any, Any, Any] = self._function(*args, **kwargs)
        running = current.get()
        if running is not None:
            running[0].promise(self._function.__name__, _name_of(*args, **kwargs), coroutine)
        return coroutine

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return repr(self._function)

    def __reduce__(self) -> str:
        return cast("str", self._function.__qualname__)


def _name_of(*args: Any, **kwargs: Any) -> str:
    """Return what a call is about: a workflow, an event, or several."""
    first = next(iter((*args, *kwargs.values())), "")
    name = first if isinstance(first, str) else getattr(first, "event_name", None)
    return name if isinstance(name, str) else f"of {first!r:.60}"
