"""
What a site's management API can do: delete events, and try dead letters again.

The API takes an empty list of states for all of them, and no ids or names for all dead letters. So
nothing empty is ever sent: whoever means all says `everything`, and then every state is named.
Its answer says that the work has been *accepted*: an event of the site's own does it later.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

from kit.model.errors import ArgumentError, RejectedError
from kit.model.event import check_id, check_name
from kit.netlify.flow import Flow, HttpRequest, request_flow
from kit.netlify.responses import Response
from kit.netlify.site import Site

EVENTS_PATH = "/.netlify/functions/async-workloads-api/events"
FAILED_EVENTS_PATH = "/.netlify/functions/async-workloads-api/failed-events"

STATES = ("pending", "processing", "delayed", "hibernating", "dead-lettered")
"""Where an event of Async Workloads can be. One that has ended well is nowhere."""


class Accepted(NamedTuple):
    """The site has taken the order, but not carried it out yet; `event_id` is its own event's."""

    event_id: str | None


def delete_flow(
    site: Site,
    *,
    ids: Collection[str] = (),
    states: Collection[str] = (),
    everything: bool = False,
) -> Flow[Accepted]:
    """
    Delete events: those with *ids* (in *states*, if given), all in *states*, or all there are.

    Raises:
        ArgumentError: If nothing is chosen, all states without *everything*, or a value is wrong.
        SendError: If the order was not accepted.
    """
    if not ids and set(states) >= set(STATES):
        msg = "these states are all there are: say that all events are meant, instead of states"
        raise ArgumentError(msg)
    _check_choice(everything, ids, states, "ids or states")
    chosen: dict[str, Any] = {}
    if ids:
        chosen["eventIds"] = [check_id(each) for each in ids]
    if states or everything:
        chosen["states"] = list(STATES) if everything else [_check_state(each) for each in states]
    return _order_flow("DELETE", EVENTS_PATH, chosen, site, "the order to delete events")


def retry_flow(
    site: Site,
    *,
    ids: Collection[str] = (),
    names: Collection[str] = (),
    everything: bool = False,
) -> Flow[Accepted]:
    """
    Try dead letters again, from their first step: by *ids*, by *names*, by both, or all there are.

    Not ended runs with a record (`store: blobs`): that is what the runs API's retry is for.

    Raises:
        ArgumentError: If nothing is chosen, or a value is malformed.
        SendError: If the order was not accepted.
    """
    _check_choice(everything, ids, names, "ids or names")
    chosen: dict[str, Any] = {}
    if ids:
        chosen["eventIds"] = [check_id(each) for each in ids]
    if names:
        chosen["eventNames"] = [check_name(each) for each in names]
    return _order_flow("POST", FAILED_EVENTS_PATH, chosen, site, "the order to retry events")


def management_probe(site: Site) -> HttpRequest:
    """Return a request that orders nothing: without a body, the API answers 400 and says so."""
    return HttpRequest("POST", f"{site.origin}{FAILED_EVENTS_PATH}", key=site.api_key)


def _check_choice(
    everything: bool, one: Collection[str], other: Collection[str], what: str
) -> None:
    if isinstance(one, str) or isinstance(other, str):
        msg = f"give {what} as lists, not as one text"
        raise ArgumentError(msg)
    if everything and (one or other):
        msg = f"give either {what}, or say that all are meant"
        raise ArgumentError(msg)
    if not (everything or one or other):
        msg = f"no event is chosen: give {what}, or say that all are meant"
        raise ArgumentError(msg)


def _check_state(state: str) -> str:
    if state not in STATES:
        msg = f"{state!r} is no state of an event: it is one of {', '.join(STATES)}"
        raise ArgumentError(msg)
    return state


def _order_flow(
    method: Literal["POST", "DELETE"],
    path: str,
    chosen: Mapping[str, Any],
    site: Site,
    what: str,
) -> Flow[Accepted]:
    headers = {"content-type": "application/json"}
    content = json.dumps(chosen).encode()
    url = site.origin + path
    request = HttpRequest(method, url, headers, content, what, is_taken, key=site.api_key)
    return _accepted_flow(request, site)


def _accepted_flow(request: HttpRequest, site: Site) -> Flow[Accepted]:
    response, _ = yield from request_flow(request, site)
    result = _result(response) or {}
    if result.get("sendStatus") != "succeeded":
        msg = (
            f"{request.what} was taken by {site.origin}, but the site could not send the event"
            " that carries it out. Look at the log of its function async-workloads-api"
        )
        raise RejectedError(msg, status_code=response.status, provider="netlify")
    event_id = result.get("eventId")
    return Accepted(event_id if isinstance(event_id, str) else None)


def is_taken(response: Response) -> bool:
    """Tell whether an answer is the management API's, and not some page's."""
    return 200 <= response.status < 300 and _result(response) is not None


def _result(response: Response) -> dict[str, Any] | None:
    try:
        found = json.loads(response.text)
    except (ValueError, RecursionError):
        return None
    result = found.get("workloadResult") if isinstance(found, dict) else None
    return result if isinstance(result, dict) else None
