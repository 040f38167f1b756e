"""
One invocation of a handler: what it has asked for, and what is fresh.

A handler is always run from the top. Rules of this room:

* A step whose checkpoint was delivered answers from memory. One without is *open* while its
  function runs, then *fresh*. `replay` tells what may be asked for, `parking` how it all ends.
* A step's failure that the handler catches travels as a checkpoint with the next one, and is
  raised again on replay; see `catching`. A failure that ends the handler does not.
* Events sent travel with the next checkpoint too; their ids depend on the run and their place in
  it, so that sending again sends the same event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kit.execution.calling import call
from kit.execution.catching import Catching
from kit.execution.envelope import as_inner, value_envelope, value_of
from kit.model.delivery import AfterStep, Checkpoint, Checkpointer, CheckpointKind, Delivery, Sleep
from kit.model.errors import StepUsageError
from kit.model.event import Event, derived_id
from kit.model.payload import check_travels
from kit.model.running import current as current

Observe = Callable[[str, Mapping[str, Any]], None]
Send = Callable[[Event], Awaitable[None]]


class Invocation(Catching):
    """The book-keeping of one invocation; `execution` drives it, `step` is its face."""

    def __init__(
        self,
        delivery: Delivery,
        checkpointer: Checkpointer,
        *,
        after: AfterStep,
        now: Callable[[], int],
        send: Send | None,
        observe: Observe | None,
    ) -> None:
        super().__init__(delivery)
        self.fresh: list[Checkpoint] = []
        self.sleeps: list[Sleep] = []
        self.stopping = False
        self._checkpointer = checkpointer
        self._after = after
        self._now = now
        self._send = send
        self._observe = observe
        self._sent: dict[tuple[str, str], int] = {}

    # what handlers ask for

    async def run_step(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Answer a step from memory, or run it and store what it came to."""
        outer = await self._outer()
        known = self.ask(step_id, CheckpointKind.STEP)
        if known is not None:
            return self._remember(known.text or "{}", function, step_id)
        await self._may_begin(step_id, outer)
        task = self.enter()
        self.within[task] = step_id
        self.open += 1
        try:
            value = await self._open(step_id, function, args, kwargs, outer)
        finally:
            self.open -= 1
            self.stir()
            if outer is None:
                del self.within[task]
            else:
                self.within[task] = outer
        if self.ended:
            await self.park()
        if self._after is AfterStep.SUSPEND and outer is None:
            await self.park_after_step()
        return value

    async def sleep(self, sleep: Sleep) -> None:
        """Answer a sleep from memory, or park until the invocation is over."""
        outer = await self._outer()
        if self.ask(sleep.step_id, CheckpointKind.SLEEP) is not None:
            return
        if outer is not None:
            msg = (
                f"sleep {sleep.step_id!r} stands within step {outer!r}, which would have"
                " to run again after it; sleep between steps, not within one"
            )
            self.refuse(StepUsageError(msg, step_id=sleep.step_id))
        await self._may_begin(sleep.step_id, outer)
        self.sleeps.append(sleep)
        self._tell("slept", stepId=sleep.step_id)
        await self.park()

    async def send(self, name: str, data: Any, *, make: Callable[[str], Event]) -> Event:
        """
        Send the event that *make* makes from an id, unless an earlier invocation has.

        The id depends on the run, the step around it, the name, and how many of that name went
        before.
        """
        check_travels(data, f"the data of event {name!r}")
        outer = await self._outer()
        where = outer or ""
        count = self._sent.get((where, name), 0)
        event = make(derived_id(self.delivery.event.id, where, name, str(count)))
        step_id = f"kit:send:{name}:{count}"
        self._sent[where, name] = count + 1
        if outer is None:
            if step_id in self.delivery.checkpoints:
                return event
            await self._may_begin(step_id, outer)
        await self._send_now(event, (where, name), count)
        self._tell("event-sent", name=name, eventId=event.id)
        if outer is None:
            at = self._now()
            self.carried.append(Checkpoint(step_id, CheckpointKind.SEND, None, at, at))
        return event

    async def _send_now(self, event: Event, place: tuple[str, str], count: int) -> None:
        if self._send is None:
            msg = f"event {event.name!r} cannot be sent: nothing here sends events"
            raise RuntimeError(msg)
        self.open += 1
        try:
            await self._send(event)
        except BaseException:
            if self._sent[place] == count + 1:
                self._sent[place] = count  # the handler's next try is the same event
            raise
        finally:
            self.open -= 1
            self.stir()

    # a step's way

    async def _outer(self) -> str | None:
        """Return the step around the running code; park if there is nothing more to ask for."""
        self.enter()
        if self.closed or self.broken:
            await self.park()
        running = current.get()
        return running[1] if running and running[0] is self else None

    async def _may_begin(self, step_id: str, outer: str | None) -> None:
        """Return if a fresh step may begin; park if the invocation is ending."""
        if self._checkpointer.stopped:
            self.stopping = True
        if self.ended or self.closed or self.stopping:
            await self.park()
        if self.unasked and outer is None:
            await self.find_unasked(step_id)
        if self.failures:
            await self.let_land()

    def _remember(self, text: str, function: Callable[..., Any], step_id: str) -> Any:
        try:
            return value_of(text, function, step_id)
        except Exception as error:
            self.came_from(error, step_id)
            raise

    async def _open(
        self,
        step_id: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outer: str | None,
    ) -> Any:
        token = current.set((self, step_id))
        started = self._now()
        if self._observe:
            self._tell("step-started", stepId=step_id)
        try:
            value = await call(function, args, kwargs)
            text, value = value_envelope(value, function, step_id)
        except Exception as error:
            raised = self.failed(step_id, error, outer, started, self._now())
            kind = type(error).__qualname__
            self._tell("step-failed", stepId=step_id, error=str(raised), type=kind)
            if raised is error:
                raise
            raise raised from error
        finally:
            current.reset(token)
        await self._store(step_id, text if outer is None else as_inner(text), started)
        if self._observe:
            self._tell("step-finished", stepId=step_id)
        return value

    async def _store(self, step_id: str, text: str, started: int) -> None:
        checkpoint = Checkpoint(step_id, CheckpointKind.STEP, text, started, self._now())
        fresh = (*self.carried, checkpoint)
        self.carried.clear()
        if self._after is not AfterStep.COMMIT:
            self.fresh += fresh
            return
        try:
            await self._checkpointer.commit(fresh)
        except Exception as error:  # noqa: BLE001 - what a handler must not take for its step's
            self.refuse(error)

    # what the driver asks for

    def hand_over(self, *, caught: bool) -> tuple[Checkpoint, ...]:
        """
        Take all that is fresh; what only travels along goes if there is something to go with.

        With *caught*, the handler has lived on past every failure so far.
        """
        if caught:
            self.catch(self.failures)
        fresh = (*self.fresh, *self.carried) if caught else tuple(self.fresh)
        self.fresh, self.carried = [], []
        return fresh

    def _tell(self, what: str, **data: Any) -> None:
        if self._observe is not None:
            self._observe(what, data)
