"""What a handler holds: its context, and the steps in it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from kit.execution.invocation import Invocation
from kit.execution.threads import stay
from kit.model.duration import Duration
from kit.model.event import (
    Event,
    check_own_name,
    check_priority,
    derived_id,
    event_due,
    when_asked,
)
from kit.model.signals import Suspend

if TYPE_CHECKING:
    import logging

P = ParamSpec("P")
T = TypeVar("T")


class Step:
    """Steps of an async handler: each runs once, however often the handler is run."""

    __slots__ = ("_invocation",)

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    @overload
    def run(
        self, step_id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def run(
        self, step_id: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    def run(
        self, step_id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]:
        """
        Return what *fn* comes to; once it has, it is not called again in this run.

        The value must survive JSON; a model does if the function's return annotation names it.
        A plain *fn* runs in a thread. Ids are unique within a workflow, at most 255 characters.
        An exception of *fn* is raised as a replay will raise it: without what JSON cannot keep.

        Raises:
            Exception: What *fn* raised; or `StepError` if JSON cannot carry that.
            StepUsageError: If the id was used before in this invocation. Also, at the handler's
                end, if this was never awaited.
            ReplayError: If the code no longer fits what the run has recorded.
        """
        invocation = self._invocation
        step = invocation.run_step(step_id, fn, args, kwargs)
        if invocation.gate.open:  # this may be asked for within a step
            return invocation.promise("step", step_id, step)
        return invocation.promised.note("step", step_id, step)

    def sleep(self, step_id: str, duration: Duration | datetime, /) -> Coroutine[Any, Any, None]:
        """
        Pause the run for *duration*, or until an aware datetime. It costs nothing meanwhile.

        Raises:
            ValueError: If *duration* is malformed, or a datetime without a time zone.
            StepUsageError: As `run`.
        """
        sleep = self._invocation.sleep(step_id, duration)
        return self._invocation.promise("sleep", step_id, sleep)


class PlainStep:
    """Steps of a plain handler, which runs in a thread: the same, without `await`."""

    __slots__ = ("_invocation",)

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation

    @overload
    def run(
        self, step_id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def run(self, step_id: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def run(self, step_id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return what *fn* comes to; see `Step.run`."""
        return _wait(self._invocation.run_step(step_id, fn, args, kwargs), self._invocation.loop)

    def sleep(self, step_id: str, duration: Duration | datetime, /) -> None:
        """Pause the run; see `Step.sleep`."""
        _wait(self._invocation.sleep(step_id, duration), self._invocation.loop)


@dataclass(frozen=True, slots=True)
class _Facts:
    """
    What a handler is told about its run.

    `attempt` counts from 0, `event_id` is the run's id, `provider` is where the run lives.
    """

    provider: str
    event_id: str
    event_name: str
    attempt: int
    _invocation: Invocation

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger named after the workflow; records carry the event id."""
        import logging

        named = logging.getLogger(f"kit.workflow.{self.event_name}")
        return logging.LoggerAdapter(named, {"event_id": self.event_id})


@dataclass(frozen=True, slots=True)
class Context(_Facts):
    """The second argument of an async handler."""

    step: Step

    def send_event(
        self,
        name: str,
        data: Any = None,
        *,
        delay: Duration | None = None,
        delay_until: datetime | None = None,
        priority: int | None = None,
        id: str | None = None,
    ) -> Coroutine[Any, Any, str]:
        """
        Send an event and return its id; a replay does not send it again.

        The id comes from the run and what the event says. *id*, as in `run_workflow`, is a key of
        your own instead: the same name and key are the same event, whoever sends it.

        Raises:
            PayloadError: If *data* would not arrive unchanged.
            SendError: If the event did not get through.
        """
        sending = _send(self, name, data, delay, delay_until, priority, id)
        return self._invocation.promise("event", name, sending)


@dataclass(frozen=True, slots=True)
class PlainContext(_Facts):
    """The second argument of a plain handler: as `Context`, without `await`."""

    step: PlainStep

    def send_event(
        self,
        name: str,
        data: Any = None,
        *,
        delay: Duration | None = None,
        delay_until: datetime | None = None,
        priority: int | None = None,
        id: str | None = None,
    ) -> str:
        """Send an event and return its id; see `Context.send_event`."""
        sending = _send(self, name, data, delay, delay_until, priority, id)
        return _wait(sending, self._invocation.loop)


async def _send(
    context: _Facts,
    name: str,
    data: Any,
    delay: Duration | None,
    delay_until: datetime | None,
    priority: int | None,
    id: str | None,
) -> str:
    invocation = context._invocation
    chain = invocation.delivery.event.chain_of_sent(check_own_name(name))
    due = event_due(delay, delay_until, invocation.now())
    event_id = derived_id("run", name.lower(), id or "")
    event = Event(
        name,
        data,
        event_id,
        due,
        check_priority(priority or 0),
        chain,
        is_delayed=delay is not None,
    )
    event = await invocation.send(event, when_asked(delay, delay_until), keeps_id=id is not None)
    return event.id


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_REFUSALS = 100
"""How often a thread may ask a loop that has gone: code that swallows it all would spin."""

_thread = threading.local()


def _wait(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    if _running_loop() is loop:  # waiting for itself, for ever
        coroutine.close()
        msg = "a plain handler's steps are for plain functions; make the handler async as well"
        raise RuntimeError(msg)
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except concurrent.futures.CancelledError:
        raise Suspend from None  # an Exception there; user code must not take it for a failure
    except RuntimeError:
        coroutine.close()  # the loop has gone; so has whoever would want to know
        if loop.is_closed():
            _thread.refused = getattr(_thread, "refused", 0) + 1
            if _thread.refused > _REFUSALS:
                stay()
        raise


_send.__name__ = "context.send_event"  # what an error calls one that was never awaited
