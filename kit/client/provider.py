"""
What a provider does: take events, and tell what became of their runs as far as it can.

`resolve` chooses one by the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kit.model.errors import ConfigError
from kit.model.event import Event

if TYPE_CHECKING:
    from kit.model.run import Run, RunDetails, RunStatus
    from kit.project.catalog import Catalog
    from kit.project.config import Config


class Receipt(NamedTuple):
    """
    An event was taken: the provider's own acknowledgement, and whether there was a run already.

    `existed` is None where the provider cannot tell. `data` is the JSON that run was started with.
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

    @property
    def tells_existing(self) -> bool:
        """Whether it can tell that an id has started a run before."""

    async def send(self, event: Event, *, key: str | None = None) -> Receipt:
        """
        Take an event.

        Raises:
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


def resolve(config: Config, catalog: Catalog) -> Provider:
    """
    Return the provider the settings choose; *catalog* is where a local one finds workflows.

    Raises:
        WorkflowDisabledError: If workflows are switched off.
        ConfigError: If the provider lacks a setting, or cannot do what one asks for.
    """
    config.get_workflow()  # unless workflows are switched off
    if config.provider == "local":
        return _local(config, catalog)
    from kit.client.netlify import NetlifyProvider

    return NetlifyProvider(config)


def _local(config: Config, catalog: Catalog) -> Provider:
    try:
        # by name: what a statement here could import would be bundled into every function
        module = import_module("kit.client.local")
    except ModuleNotFoundError as error:
        if error.name != "kit.client.local":
            raise
        msg = (
            f"the provider is 'local' ({config.origins['provider']}), and a deployed function has"
            " no engine, nor a file that outlasts it: take the setting away there, and its runs"
            " live on Netlify"
        )
        raise ConfigError(msg) from None
    provider: Provider = module.LocalProvider(config, catalog)
    return provider
