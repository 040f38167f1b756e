"""
Events about to be sent: made from what a caller gives, checked before anything leaves.

Within a handler an event continues the chain of the run that sends it, so that workflows which
start each other in a circle stop at the limit, whichever way they do it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, cast, get_args

from kit.model.annotations import Encoded, encode_data, encode_input
from kit.model.duration import Duration
from kit.model.errors import (
    ArgumentError,
    RunExistsError,
    WorkflowError,
    WorkflowNotFoundError,
)
from kit.model.event import (
    Event,
    check_key,
    check_name,
    check_own_name,
    check_priority,
    derived_id,
    event_due,
)
from kit.model.running import current
from kit.model.text import decode
from kit.model.workflow import AnyWorkflow, Workflow

if TYPE_CHECKING:
    from kit.client.provider import Receipt
    from kit.project.catalog import Catalog

AnyEvent: TypeAlias = "Mapping[str, Any] | tuple[str, Any]"
"""A pair of name and data, or a mapping with the arguments of `send_event`."""

Made: TypeAlias = "tuple[str, Event | Exception]"
"""The name a caller gave, and the event, or why there is none."""


OnConflict: TypeAlias = Literal["keep", "error"]
"""What becomes of a start whose id has started a run with other data: that run counts, or error."""


class SendOptions(TypedDict, total=False):
    """How an event is sent: an idempotency key, a delay or a moment, and a priority within ±50."""

    id: str | None
    delay: Duration | None
    delay_until: datetime | None
    priority: int | None


class StartOptions(SendOptions, total=False):
    """How a workflow is started: as an event is sent, and what a conflict of its id means."""

    on_conflict: OnConflict


class Sent(NamedTuple):
    """What became of one event of many; `error` is None if it went."""

    name: str
    event_id: str
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether the event went."""
        return self.error is None


def checked_input(
    catalog: Catalog, workflow: str | AnyWorkflow, input: Any, *, needs_definition: bool
) -> tuple[str, Encoded]:
    """
    Return the event's name and its data, valid for the workflow if its definition is at hand.

    Raises:
        WorkflowNotFoundError: If there is none, and one *needs_definition*.
        DiscoveryError: If the file that should define it is wrong.
        PayloadError: If the input is invalid, or would not arrive unchanged.
    """
    if isinstance(workflow, Workflow):
        catalog.admit(workflow)
        return workflow.event_name, encode_input(workflow, input)
    found = _definition(catalog, workflow, needs_definition=needs_definition)
    if found is None:
        return check_name(workflow), encode_data(input, f"the input of {workflow!r}")
    return found.event_name, encode_input(found, input)


def _definition(catalog: Catalog, name: str, *, needs_definition: bool) -> AnyWorkflow | None:
    if not isinstance(name, str):
        msg = f"a workflow or its name is needed, not {name!r}"
        raise TypeError(msg)
    try:
        return catalog.get(name)
    except WorkflowNotFoundError:
        if needs_definition:
            raise
        return None


def check_on_conflict(on_conflict: OnConflict) -> OnConflict:
    """
    Return *on_conflict*, if it is one.

    Raises:
        ArgumentError: If there is no such choice.
    """
    if on_conflict not in get_args(OnConflict):
        msg = f'on_conflict must be "keep" or "error", not {on_conflict!r}'
        raise ArgumentError(msg)
    return on_conflict


def note_conflict(event: Event, receipt: Receipt, on_conflict: OnConflict) -> None:
    """
    Say so if the event's id has started a run with other data, which is the one that counts.

    Raises:
        RunExistsError: If *on_conflict* is `"error"`.
    """
    if not receipt.existed or receipt.data is None or decode(receipt.data) == event.data:
        return
    msg = f"run {event.id} of {event.name!r} was started before, with the same id and other data"
    if on_conflict == "error":
        raise RunExistsError(f"{msg}: give this start an id of its own", run_id=event.id)  # noqa: EM102
    logging.getLogger("kit").warning("%s, which counts", msg)


def make_event(name: str, data: Any, options: SendOptions) -> Event:
    """
    Return a new event; with a key, its id is the same whenever name and key are.

    Raises:
        ArgumentError: If the name, the key, the delay or the priority is out of bounds.
        TypeError: If there is no such option.
        PayloadError: If the data would not arrive unchanged.
        LoopDetectedError: If the run that sends it stands at the end of too long a chain.
    """
    for unknown in set(options) - SendOptions.__optional_keys__:
        msg = (
            f"an event has no {unknown!r}; it has {', '.join(sorted(SendOptions.__annotations__))}"
        )
        raise TypeError(msg)
    check_own_name(name)
    encoded = (
        data if isinstance(data, Encoded) else encode_data(data, f"the data of event {name!r}")
    )
    priority = check_priority(options.get("priority") or 0)
    key, now = options.get("id"), time.time_ns() // 1_000_000
    event_id = str(uuid.uuid4()) if key is None else derived_id("run", name.lower(), check_key(key))
    due = event_due(options.get("delay"), options.get("delay_until"), now)
    running = current.get()
    chain = running[0].delivery.event.chain_of_sent(name) if running else ()
    is_delayed = options.get("delay") is not None
    return Event(name, encoded.data, event_id, due, priority, chain, encoded.text, is_delayed)


def make_events(given: Sequence[AnyEvent]) -> tuple[list[Made], list[Event]]:
    """Return each event given, or why it is none; and those that can be sent."""
    made = [_made(each) for each in given]
    return made, [event for _, event in made if isinstance(event, Event)]


def paired(made: Sequence[Made], outcomes: Sequence[object]) -> list[Sent]:
    """Return what became of each event, given the outcomes of those that could be sent."""
    left = iter(outcomes)
    return [
        _sent(name, event, next(left) if isinstance(event, Event) else event)
        for name, event in made
    ]


def _sent(name: str, event: Event | Exception, outcome: object) -> Sent:
    error = outcome if isinstance(outcome, Exception) else None
    return Sent(name, event.id if isinstance(event, Event) else "", error)


def _made(each: AnyEvent) -> Made:
    if isinstance(each, tuple) and len(each) == 2:
        given: dict[str, Any] = {"name": each[0], "data": each[1]}
    elif isinstance(each, Mapping):
        given = {**each}
    else:
        msg = f"an event is a pair of name and data, or a mapping, not {each!r:.100}"
        return "", TypeError(msg)
    name, data = str(given.pop("name", "")), given.pop("data", None)
    try:
        return name, make_event(name, data, cast("SendOptions", given))
    except (WorkflowError, TypeError) as error:
        return name, error
