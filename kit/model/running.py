"""The run that the running code belongs to: what sending an event needs to know of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.model.delivery import Delivery
    from kit.model.event import Event


class Running(Protocol):
    """An invocation under way, as far as those who send from within it see it."""

    @property
    def delivery(self) -> Delivery:
        """What has arrived; its event's chain goes on in what is sent."""

    @property
    def main(self) -> Any:
        """The task of the handler, once there is one."""

    async def send(self, name: str, data: Any, *, make: Callable[[str], Event]) -> Event:
        """Send the event that *make* makes from an id, unless an earlier invocation has."""


current: ContextVar[tuple[Running, str | None] | None] = ContextVar("current", default=None)
"""The invocation that the running code belongs to, and the id of the step within it, if any."""
