"""Proxies, which the environment names: whether there are any, and what is wrong with them."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import TypeVar

from kit.model.errors import ConfigError

T = TypeVar("T")


def has_proxies() -> bool:
    """Tell whether the environment names a proxy."""
    return any(urllib.request.getproxies().get(each) for each in ("http", "https", "all"))


def through_proxies(make: Callable[[], T], invalid: type[Exception]) -> T:
    """
    Return what *make* makes, which looks for proxies and raises *invalid* where one has no address.

    Raises:
        ConfigError: If one cannot be used.
    """
    try:
        return make()
    except (ValueError, ImportError, invalid) as error:
        msg = (
            "the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)"
            f" cannot be used: {error}"
        )
        raise ConfigError(msg) from None
