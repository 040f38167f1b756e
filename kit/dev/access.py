"""The key of Netlify's addresses: any or none here, unless one is set; then that one."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from kit.project.config import Config

_BEARER = re.compile(r"bearer\s+(\S+)", re.IGNORECASE)


class Access:
    """
    Tells whether a request shows the right key. While *key* gives none, every request does.

    The header is read as loosely as Async Workloads 0.0.97 does: `bearer` in any case, anywhere in
    it, and the key is the first run of other than blanks after it.
    """

    def __init__(self, key: Callable[[], str | None]) -> None:
        self._key = key

    def admits(self, authorization: str | None) -> bool:
        """Tell whether this `Authorization` header will do."""
        key = self._key()
        if key is None:
            return True
        match = _BEARER.search(authorization or "")
        return match is not None and hmac.compare_digest(match[1].encode(), key.encode())


def key_of(config: Config) -> str | None:
    """
    Return the key that was set for sending events, if one was.

    The site's own `AWL_API_KEY` does not count: it is there for functions, not for this server.
    """
    origin = config.origins.get("api_key")
    if config.api_key is None or origin is None or origin.place.startswith("AWL_"):
        return None
    return config.api_key.get_secret_value()
