"""What the clients of one site share: its settings, and the events made before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from kit.client.handle import WorkflowRun
from kit.client.netlify import NetlifyProvider
from kit.client.sending import (
    OnConflict,
    StartOptions,
    check_on_conflict,
    checked_input,
    make_event,
    note_conflict,
)
from kit.model.event import Event
from kit.model.workflow import AnyWorkflow
from kit.project.catalog import Catalog
from kit.project.config import load
from kit.project.settings import Key

if TYPE_CHECKING:
    from kit.client.asking import CarryOut
    from kit.client.provider import Receipt


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

    def start_of(
        self, workflow: str | AnyWorkflow, input: Any, options: StartOptions
    ) -> tuple[Event, _Start]:
        """Return the event that starts a workflow, and how; its input is checked if that can be."""
        on_conflict = check_on_conflict(options.pop("on_conflict", "keep"))
        name, data = checked_input(self._catalog, workflow, input, needs_definition=False)
        event = make_event(name, data, options)
        return event, {"key": options.get("id"), "on_conflict": on_conflict}

    def started(self, event: Event, how: _Start, receipt: Receipt) -> WorkflowRun:
        """Return a handle on the run that *event* has started, unless that is a conflict."""
        note_conflict(event, receipt, how["on_conflict"])
        native, existed, _ = receipt
        return WorkflowRun(event.id, event.name, self._source, native=native, existed=existed)


class _Start(TypedDict):
    key: str | None
    on_conflict: OnConflict
