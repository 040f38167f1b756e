"""Why no answer came, in words: by the names httpx and httpcore give their errors alike."""

from __future__ import annotations

from kit.netlify.attempt import too_late
from kit.netlify.responses import NoResponse


def no_response(error: Exception, limit: float) -> NoResponse:
    """Return what *error* means for a request that had *limit* seconds to be answered."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ReadTimeout" in names:
        return too_late(limit)
    for name, why, may_have_arrived in _CAUSES:
        if name in names:
            detail = f" ({error})" if str(error) else ""
            return NoResponse(f"{why}{detail}", may_have_arrived)
    return NoResponse(f"the request failed ({error})", may_have_arrived=True)


_CAUSES = (
    ("ConnectTimeout", "the connection was not made in time; check the host name", False),
    ("PoolTimeout", "too many requests are under way; send fewer at once", False),
    ("WriteTimeout", "it did not take the whole request in time", True),
    ("ProxyError", "the proxy of this network refused; check HTTPS_PROXY", False),
    ("ConnectError", "no connection could be made; check the host name and the network", False),
    ("UnsupportedProtocol", "the address is not one for HTTP", False),
    ("TransportError", "the connection broke before an answer", True),
)
