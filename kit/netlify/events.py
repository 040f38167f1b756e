"""
Events as Async Workloads takes them: records in, camelCase out.

The `TypedDict` says what each key means and what else holds of it; the JSON Schema is made from it,
so that the two cannot drift. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from kit.model.event import MAX_NAME_LENGTH, MAX_PRIORITY, Event
from kit.model.text import encode

_HEX = "[0-9a-fA-F]"
UUID = {"pattern": f"^{_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}$"}
NAME = {"minLength": 1, "maxLength": MAX_NAME_LENGTH}
PRIORITY = {"minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY}
COUNT = {"minimum": 0}


class EventJson(TypedDict):
    """An event as Async Workloads takes it: one item of the array sent to its router."""

    eventName: Annotated[
        str, "The workflow's name; Netlify compares it without regard to case.", NAME
    ]
    eventId: NotRequired[Annotated[str, "A version-4 UUID; the run's id. Made up if absent.", UUID]]
    data: NotRequired[Annotated[Any, "The workflow's input: any JSON."]]
    delayUntil: NotRequired[Annotated[int, "Not before this moment, in ms since the epoch.", COUNT]]
    priority: NotRequired[Annotated[int, "Higher goes first; 0 when absent.", PRIORITY]]
    baseUrl: NotRequired[Annotated[str, "The origin it was sent to; not read by the router."]]
    eventChain: NotRequired[
        Annotated[
            list[str], "The events that led here, oldest first, this one last.", {"maxItems": 19}
        ]
    ]


def event_to_json(event: Event, *, base_url: str | None = None) -> EventJson:
    """
    Return *event* as the router takes it. What was not given is absent, as the client has it;
    but data is always there, so that `None` arrives as null and not as nothing.
    """
    found: EventJson = {"eventName": event.name, "eventId": event.id, "data": event.data}
    if event.due is not None:
        found["delayUntil"] = event.due
    if event.priority:
        found["priority"] = event.priority
    if base_url is not None:
        found["baseUrl"] = base_url
    found["eventChain"] = [*event.chain, event.name]
    return found


def event_to_text(event: Event, *, base_url: str | None = None) -> str:
    """
    Return *event* as the JSON the router takes; its data is not encoded again.

    Raises:
        PayloadError: If the data would not arrive unchanged.
    """
    shape = event_to_json(event, base_url=base_url)
    shape["data"] = None
    before, _, after = encode(shape).partition('"data":null')
    return f'{before}"data":{event.encoded()}{after}'
