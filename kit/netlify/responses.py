"""
What a site's answers mean: values in, errors with what to do out.

Texts that come from outside are cut, made printable, and rid of the key, which a proxy's error page
may well repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import SecretStr

from kit.model.errors import ConnectionFailedError, LoopDetectedError, RejectedError, SendError
from kit.netlify.site import Site

WORTH_ANOTHER_TRY = (429, 502, 503, 504)
"""A busy or restarting site; everything else would be answered the same way again."""

MAY_HAVE_ARRIVED = (502, 504)
"""Answers of a gateway that may have handed the request on before it gave up."""


class Response(NamedTuple):
    """What a site answered; header names are in lower case, `text` may be cut."""

    status: int
    headers: Mapping[str, str]
    text: str = ""


class NoResponse(NamedTuple):
    """No answer came: `why` in words, and whether the request may have arrived all the same."""

    why: str
    may_have_arrived: bool
    timed_out: bool = False


def without_key(answer: Response | NoResponse, key: SecretStr | None) -> Response | NoResponse:
    """
    Return an *answer* without the key that it was asked with, which some error pages repeat.

    What was taken is left as it is, and so is all where the key is as short as any word.
    """
    if key is None or isinstance(answer, NoResponse) or answer.status < 300:
        return answer
    secret = key.get_secret_value()
    if len(secret) < _SHORTEST_SECRET:
        return answer
    headers = {name: it.replace(secret, _HIDDEN) for name, it in answer.headers.items()}
    return Response(answer.status, headers, answer.text.replace(secret, _HIDDEN))


_HIDDEN = "(the key)"
_SHORTEST_SECRET = 8


def not_taken(
    response: Response | NoResponse,
    site: Site,
    what: str,
    *,
    tries: int,
    may_have_arrived: bool,
    asked: float | None = None,
) -> SendError:
    """
    Return the error for a request about *what* that was made so often and never taken.

    *asked* are the seconds the site wants to be left alone, where that is too long to wait.
    """
    if isinstance(response, NoResponse):
        return _unreachable(response, site, what, tries, may_have_arrived)
    times = f", tried {tries} times" if tries > 1 else ""
    msg = f"{what} was not taken by {site.origin}{times}: {meaning_of(response, site)}"
    if asked is not None:
        msg += f". It asks to be left alone for {asked:.0f} seconds, which was not waited for"
    if response.status == 508:
        return LoopDetectedError(msg, provider="netlify")
    if response.status in WORTH_ANOTHER_TRY:
        return ConnectionFailedError(
            msg,
            may_have_arrived=may_have_arrived,
            status_code=response.status,
            provider="netlify",
        )
    return RejectedError(msg, status_code=response.status, provider="netlify")


def _unreachable(
    response: NoResponse, site: Site, what: str, tries: int, may_have_arrived: bool
) -> SendError:
    times = "once" if tries == 1 else f"{tries} times"
    arrived = (
        "It may have arrived all the same: look at the site's function log before sending it again"
        if may_have_arrived
        else "It has not arrived"
    )
    why = site.clean(response.why)
    msg = f"{what} was not taken by {site.origin}, tried {times}: {why}. {arrived}"
    return ConnectionFailedError(msg, may_have_arrived=may_have_arrived, provider="netlify")


def meaning_of(response: Response, site: Site) -> str:
    """Return what an answer that is no acknowledgement means, and what to do about it."""
    status = response.status
    reason = site.clean(response.headers.get("x-awl-reason", ""))
    if status == 401 and site.api_key is None:
        return _NO_KEY
    if status in _MEANINGS:
        return _MEANINGS[status] + (f" (it says: {reason})" if reason else "")
    if 300 <= status < 400:
        return _redirected(response, site)
    if status < 300:
        return _not_a_router(response, site, reason)
    says = reason or site.clean(response.text) or "nothing else"
    advice = _SERVER_ADVICE if status >= 500 else "Check workflow.baseUrl: `kit config` shows it"
    return f"it answered {status} and says: {says}. {advice}"


def _redirected(response: Response, site: Site) -> str:
    place = site.clean(response.headers.get("location", "elsewhere"))
    return (
        f"it redirects ({response.status}) to {place}. Set workflow.baseUrl to the address it"
        " redirects to; redirects are not followed, since that would hand on the key"
    )


def _not_a_router(response: Response, site: Site, reason: str) -> str:
    if "no workloads" in reason:
        return "the site has no workflows at all. Deploy one, then send again"
    kind = site.clean(response.headers.get("content-type", "no content type").split(";")[0])
    return (
        f"it answered {response.status} ({kind}), but not as Async Workloads does: a page or a"
        " proxy stands in its place. Check workflow.baseUrl, and redirects such as /* in the site's"
        " netlify.toml"
    )


_SERVER_ADVICE = "Look at the site's function log, and try again later"
_BUSY = "The site is busy or down; try again later"
_NO_KEY = (
    "it wants an API key (401), and none is set. Set WORKFLOW_API_KEY to one of the site's"
    " AWL_API_KEY values"
)
_MEANINGS = {
    400: (
        "it could not use the request (400). The kit and the site's Async Workloads may be of"
        " versions that do not fit: `kit doctor` says more"
    ),
    401: (
        "the API key was refused (401). Set WORKFLOW_API_KEY to one of the site's AWL_API_KEY"
        " values, and deploy the site again if the key is new"
    ),
    403: (
        "access is forbidden (403): a password or firewall stands before the site. Let requests"
        " to /.netlify/functions/ through"
    ),
    404: (
        "there is no Async Workloads router (404): the extension is not installed, or the site was"
        " deployed without it. Install Async Workloads for the site's team, set AWL_API_KEY for"
        " builds and functions, and deploy again with at least one workflow"
    ),
    413: "the request is too large (413). Send less data, or store it and send where it is",
    429: f"it has had too many requests (429). {_BUSY}",
    502: f"a gateway could not reach it (502). {_BUSY}",
    503: f"it is not available (503). {_BUSY}",
    504: f"a gateway had no answer from it in time (504). {_BUSY}",
    508: (
        "Netlify has detected a loop of requests (508). Workflows start each other without end;"
        " break the circle"
    ),
}
