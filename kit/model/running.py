"""The run that the running code belongs to: what sending an event needs to know of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kit.model.delivery import Delivery
    from kit.model.event import Event


class Running(Protocol):
    """An invocation under way, as far as those who send from within it see it."""

    @property
    def delivery(self) -> Delivery:
        """What has arrived; its event's chain goes on in what is sent."""

    @property
    def loop(self) -> Any:
        """The loop that the handler runs on."""

    async def send(self, event: Event, when: str, *, keeps_id: bool = False) -> Event:
        """
        Send *event* under an id made from all it says, unless an earlier invocation has.

        *when* is when it may start, as it was asked for. With *keeps_id*, its id is its own.
        """


current: ContextVar[tuple[Running, str | None] | None] = ContextVar("current", default=None)
"""The invocation that the running code belongs to, and the id of the step within it, if any."""
