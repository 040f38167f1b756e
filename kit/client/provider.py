"""What a provider does: take events, and tell what became of their runs as far as it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kit.model.event import Event

if TYPE_CHECKING:
    from kit.client.sending import OnConflict
    from kit.model.run import Run, RunDetails, RunStatus


class Receipt(NamedTuple):
    """
    An event was taken: the provider's own acknowledgement, and whether there was a run already.

    `existed` is None where the provider cannot tell, or was not asked. `data` is the JSON that run
    was started with.
    """

    native: Any
    existed: bool | None = None
    data: str | None = None


class Provider(Protocol):
    """A place where runs live."""

    @property
    def name(self) -> str:
        """The provider's name: `local` or `netlify`."""

    @property
    def needs_definition(self) -> bool:
        """Whether a workflow must be defined here to be started."""

    async def send(
        self, event: Event, *, key: str | None = None, on_conflict: OnConflict = "keep"
    ) -> Receipt:
        """
        Take an event; if *on_conflict* is `"error"`, tell whether its *key* had started a run.

        Raises:
            NotSupportedError: If that cannot be told; nothing is sent.
            SendError: If the event did not get through.
        """

    async def send_all(self, events: Sequence[Event]) -> list[Exception | None]:
        """Take several events; tell of each whether it went, in the same order."""

    async def find(self, run_id: str) -> Run | None:
        """Return what is known of a run; None if nothing is, or can be."""

    async def status(self, run_id: str) -> RunStatus | None:
        """Return where a run is; None if there is none, or it cannot be told."""

    async def latest(
        self, *, workflow: str | None, statuses: Sequence[RunStatus], limit: int
    ) -> list[Run]:
        """
        Return the latest runs, newest first: of one workflow, and in *statuses*, if given.

        Raises:
            NotSupportedError: If the provider cannot tell.
        """

    async def wait(self, run_id: str) -> Run:
        """
        Wait until a run has ended.

        Raises:
            NotSupportedError: If the provider cannot tell.
        """

    async def standing(self, run_id: str) -> Run | str:
        """Say in words how a run stands that `wait` was given up for; or return it, ended."""

    async def stop(self, run_id: str) -> bool:
        """
        End a run at its next step or sleep; False if it had ended.

        Raises:
            NotSupportedError: If the provider cannot.
        """

    async def resume(self) -> None:
        """See to it that every unfinished run goes on, whoever has started it."""

    async def details(self, run_id: str) -> RunDetails:
        """
        Return all that is known of a run.

        Raises:
            NotSupportedError: If the provider cannot tell.
        """

    async def close(self) -> None:
        """Let go of connections and files."""
