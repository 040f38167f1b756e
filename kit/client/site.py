"""What the clients of one site share: its settings, and the events made before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.client.netlify import NetlifyProvider
from kit.client.sending import SendOptions, checked_input, make_event
from kit.model.event import Event
from kit.model.workflow import AnyWorkflow
from kit.project.catalog import Catalog
from kit.project.config import load
from kit.project.settings import Key

if TYPE_CHECKING:
    from kit.client.asking import CarryOut


class SiteClient:
    """What both clients do before anything is sent."""

    def __init__(self, base_url: str | None, api_key: Key | None, carry_out: CarryOut) -> None:
        config = load(base_url=base_url, api_key=api_key, provider="netlify")
        self._source = NetlifyProvider(config, carry_out=carry_out)  # for what a handle is asked
        self._site = self._source.site
        self._catalog = Catalog.of(config)

    def __repr__(self) -> str:
        site = getattr(self, "_site", None)  # none yet, where the settings were refused
        return f"{type(self).__name__}({site.origin if site else None!r})"

    @property
    def origin(self) -> str:
        """The site's address."""
        return self._site.origin

    def start_of(self, workflow: str | AnyWorkflow, input: Any, options: SendOptions) -> Event:
        """Return the event that starts a workflow; its input is checked if that is at hand."""
        name, data = checked_input(self._catalog, workflow, input, needs_definition=False)
        return make_event(name, data, options)
